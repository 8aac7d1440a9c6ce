"""Delivering services: images, promotions, pull requests and manifests."""
