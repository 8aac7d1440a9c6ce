"""The app with CDK Terrain, the successor of CDKTF: `make cdktn-check`."""
