"""What a class declares to the conformance kit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@runtime_checkable
class HasConformanceArguments(Protocol):
    """A class (the attribute is the class's) that says how it is small. Without, the kit takes
    the arguments of a recipe that names it, or the defaults. Those of a dataset go before those of
    the recipe that a model is checked on."""

    @property
    def conformance_arguments(self) -> Mapping[str, Any]:
        """Constructor arguments; of a family of models also what its ``*`` stands for."""
        ...


@runtime_checkable
class ExampleFileWriter(Protocol):
    """A Predictor that can write files of the kind that it reads. Without, the kit makes a
    ``.png``, ``.npy`` or ``.csv`` of ``example_input`` where the model reads such."""

    def write_example_files(self, folder: Path, /) -> Sequence[Path]:
        """Write one or two small valid files into a folder.

        Returns:
            Their paths; none where a model of these data reads no file that could be written.
        """
        ...


@runtime_checkable
class HasConformanceExempt(Protocol):
    """A class (the attribute is the class's) to which some checks do not apply. Without, all
    are made."""

    @property
    def conformance_exempt(self) -> Mapping[str, str]:
        """Name of a check to the reason, which is shown."""
        ...
