"""What operations talk to: AWS, clusters and GitHub."""
