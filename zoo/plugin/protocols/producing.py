"""What a model makes or does without files (``zoo predict REF``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path


@runtime_checkable
class Producer(Protocol):
    """A model that makes something without reading files: samples, a forecast, the p-value of a
    test, the continuation of a text. Without, ``zoo predict`` needs files, or plays."""

    def produce(self, folder: Path | None, *args: Any, **options: Any) -> list[dict[str, Any]]:
        """Make things: what ``zoo predict REF --count 16 --seed 3`` does with this model.

        Its keyword arguments, typed, with defaults and documented, are options of the command:
        ``def produce(self, folder, *, count: int = 8, seed: int = 0, start: str = "")``. It is
        called under ``torch.inference_mode`` on the model's device, with Python's, numpy's and
        torch's generators seeded by ``--seed`` (0 by default), also where it takes no ``seed``:
        the same seed gives the same output.

        Args:
            folder: Where to write pictures or other files; None: nothing is written.

        Returns:
            One row of JSON values for each thing made, for ``predictions.csv``.
        """
        ...


@runtime_checkable
class HasRowName(Protocol):
    """A model (the attribute is the class's) that says what one thing it produces is called.
    Without, a ``sample``, and an ``episode`` of one that plays."""

    @property
    def row_name(self) -> str:
        """The first column of ``predictions.csv``, which counts from 1, such as ``forecast``."""
        ...


@runtime_checkable
class Player(Protocol):
    """A model that acts in an environment: a Producer of episodes. Without, ``zoo predict`` needs
    files."""

    def play(self, folder: Path | None, *args: Any, **options: Any) -> list[dict[str, Any]]:
        """Play episodes: what ``zoo predict REF`` does with this model, seeded as for a Producer.

        It may have keyword arguments of its own, typed, with defaults and documented: they are
        options of the command, ``episodes: int = 10`` is ``--episodes``.

        Args:
            folder: Where to write animations or pictures; None: nothing is written.

        Returns:
            One row of JSON values for each episode, for ``predictions.csv``.
        """
        ...
