"""The two kinds of error: retryable and permanent. A message states what was wrong, where, and what to do."""


class RetryableError(Exception):
    """Network, lock or server trouble: the same call may succeed later."""


class PermanentError(Exception):
    """A bad file, a missing contract, a wrong setting: retrying cannot help."""
