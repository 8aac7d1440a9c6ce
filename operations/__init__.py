"""What people run around deploys. It reads what was synthesized and never imports CDKTF, so that it starts at once."""
