"""Updates of whole copies of this repository to a release."""
