"""OperationError: what a person can act on; the command line shows it without a traceback."""


class OperationError(Exception):
    """Something is wrong that the person at the terminal can mend: the message says what, and how."""
