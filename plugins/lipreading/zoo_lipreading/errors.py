"""What can be wrong with a clip, beside what can be wrong with any file."""

from zoo.plugin import UsageError


class LeftOutError(UsageError):
    """A clip has nothing to learn from, such as no face: a dataset leaves it out, and says so."""
