"""What a class offers, without an instance of it."""

from __future__ import annotations


def offers(cls: type, protocol: type) -> bool:
    """Whether the instances of a class have every member of a protocol; nothing is evaluated.

    ``issubclass`` refuses protocols with properties.

    Args:
        cls: The class of a model or dataset.
        protocol: A protocol of this package.
    """
    members = {name for base in protocol.__mro__ for name in vars(base) if name[0] != "_"}
    return all(hasattr(cls, name) for name in members)
