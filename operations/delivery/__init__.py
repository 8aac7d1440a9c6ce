"""The delivery of services: images, promotions, pull requests and manifests."""
