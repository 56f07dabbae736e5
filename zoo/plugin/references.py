"""Arguments that name a trained model: a controller's world model, the encoder of a dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, TypeAlias

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

TRAINED_MODEL = "a trained model"
"""What marks the type of such an argument."""

Reference: TypeAlias = Annotated[str, TRAINED_MODEL]
"""The type of a constructor argument, of a model or a dataset, that names a trained model: by a run
or bundle folder, a registered checkpoint, an address, or ``recipe:NAME``, the newest finished run
of a recipe. ``Reference | None`` and lists of them are such too."""

_load: ContextVar[Callable[[str], LightningModule] | None] = ContextVar("_load", default=None)


def trained_model(reference: str) -> LightningModule:
    """The model that an argument of type ``Reference`` names, for the constructor that takes it.

    A model keeps it as a submodule: its weights then are in the bundle, which loads where the
    reference leads nowhere. There it is built from what the bundle says of it, and its weights
    come with the others.

    Args:
        reference: The argument's value.

    Returns:
        The module in evaluation mode on the CPU, its parameters frozen; ``requires_grad_()``
        trains them further. No random number is used up.

    Raises:
        UsageError: there is no such model.
    """
    from lightning.pytorch.utilities.seed import isolate_rng

    import zoo

    load = _load.get() or zoo.load
    with isolate_rng():
        return load(reference).requires_grad_(False)


@contextlib.contextmanager
def trained_models_from(load: Callable[[str], LightningModule]) -> Iterator[None]:
    """Around building a model whose references are not to be looked up.

    Args:
        load: From a reference to the module.
    """
    token = _load.set(load)
    try:
        yield
    finally:
        _load.reset(token)
