"""Clients of AWS, GitHub, Git and kubectl, and the function that runs other programs."""
