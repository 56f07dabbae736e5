"""What the kit asks a class for without requiring it."""

from __future__ import annotations


def head_of(model: object) -> tuple[str, ...]:
    """The submodules that a new task replaces; none of a model that is not fine-tuned."""
    head: tuple[str, ...] = getattr(model, "head", ())
    return head


def state_comes_from_data(model: object) -> bool:
    """Whether tensors of a model, or of a model class, get their shapes in training, so that an
    untrained one may give no outputs."""
    return bool(getattr(model, "dynamic_tensors", ())) or hasattr(model, "grow_to")
