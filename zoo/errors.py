"""The errors a user meets: one plain sentence that says what is wrong, where, and what to do."""


class ZooError(Exception):
    """The work failed. The command line prints the sentence and exits with status 1."""

    status = 1


class UsageError(ZooError):
    """The call was wrong: a name, a key, a value, a path, or the data found there.

    Raised before the first training step. The command line prints the sentence and exits
    with status 2; no run folder is left behind.
    """

    status = 2


class MissingPackage(UsageError):
    """What is asked for needs an optional package that is not installed; the sentence names the
    extra that brings it. The conformance kit skips what it cannot check for that reason."""
