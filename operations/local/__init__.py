"""The local platform: an emulated AWS on this machine."""
