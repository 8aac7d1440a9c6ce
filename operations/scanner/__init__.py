"""The scanner: checkov on plans, with reviewed reasons for what fails."""
