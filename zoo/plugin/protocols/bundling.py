"""What a model declares about how it is rebuilt, fine-tuned and exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


@runtime_checkable
class HasPreprocessing(Protocol):
    """A model that describes its preprocessing to the readers of its bundle. Without, the
    bundle says nothing of it."""

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """JSON values: what ``forward`` takes and what happens to it first. Written into
        ``bundle.json``; nothing is computed from it."""
        ...


@runtime_checkable
class OnnxScripted(Protocol):
    """A model with a script that applies its ONNX file. Without, the file is written alone."""

    @property
    def onnx_script(self) -> str:
        """Python source that needs onnxruntime and no zoo. The ONNX file has its name, and in its
        metadata, as JSON, ``label_names`` and ``preprocessing``."""
        ...


@runtime_checkable
class HasConstructorArguments(Protocol):
    """A model that tells the arguments it was built from. Without, they are its ``hparams``;
    ``AdaptedModule`` has it, as other people's modules keep other things there, or nothing."""

    @property
    def constructor_arguments(self) -> Mapping[str, Any]:
        """The constructor's arguments by name, as JSON values: they alone rebuild the model."""
        ...


@runtime_checkable
class HasWeightsLicense(Protocol):
    """A model whose weights come with terms. Without, the bundle says "as the data's"."""

    @property
    def weights_license(self) -> str:
        """The terms of the trained weights, for bundle and model card."""
        ...


@runtime_checkable
class InputChannelAdapter(Protocol):
    """A model class that carries weights over to another number of input channels. Without, one
    tensor whose second axis has ``in_channels`` is adapted by a general rule, and any other
    difference is refused."""

    @classmethod
    def adapt_input_channels(
        cls, weights: dict[str, Tensor], before: int, now: int, /
    ) -> dict[str, Tensor]:
        """Called by fine-tuning where the model's argument ``in_channels`` is not that of the
        weights.

        Args:
            weights: The saved tensors, by the module's names.
            before: Channels of the saved model.
            now: Channels of the new one.

        Returns:
            All tensors, those of the first layer for ``now`` channels.

        Raises:
            UsageError: it cannot be done; the sentence says why. Nothing is written then.
        """
        ...


@runtime_checkable
class HasTaskArguments(Protocol):
    """A model class (the attribute is the class's) that names the constructor arguments that
    fine-tuning takes from the new data. Without, ``num_classes`` and ``label_names``."""

    @property
    def task_arguments(self) -> tuple[str, ...]:
        """Names of constructor arguments; all others stay the bundle's."""
        ...


@runtime_checkable
class ArgumentUpgrader(Protocol):
    """A model or dataset whose constructor arguments were renamed. Without, saved arguments are
    taken as they are."""

    @classmethod
    def upgrade_arguments(cls, arguments: dict[str, Any], /) -> dict[str, Any]:
        """Arguments that an earlier version saved in a bundle or run folder, as the constructor
        names them now; see ``rename_keys``."""
        ...


@runtime_checkable
class RealInputSource(Protocol):
    """A model that makes real inputs itself. Without, ``zoo export`` compares the exported file
    on a batch of test data, or on ``example_input`` where there are none."""

    def real_inputs(self) -> Tensor:
        """Inputs of ``forward``, with a batch axis."""
        ...


@runtime_checkable
class NotExportable(Protocol):
    """A model class (the attribute is the class's) that cannot be exported. Without, it can."""

    @property
    def not_exportable(self) -> str:
        """The reason, which ``zoo export`` shows instead of trying."""
        ...
