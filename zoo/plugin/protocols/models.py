"""What every model has, and what its plots and its head are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightning.pytorch import LightningModule
    from matplotlib.figure import Figure
    from torch import Tensor


@runtime_checkable
class ZooModule(Protocol):
    """A LightningModule of the zoo.

    Its constructor arguments are primitives (or lists and dicts of them), typed and documented,
    saved with ``save_hyperparameters()``; they alone rebuild it. An argument that a recipe
    omits and that has the name of one of the dataset's facts receives that fact. It logs
    fractions under ``train/...``, ``val/...`` and ``test/...``.
    """

    @property
    def example_input(self) -> Tensor:
        """A small valid input of ``forward``, with a batch axis of length 2 or more.

        Asked for by the conformance kit, and by ``zoo export`` where no real input is available.
        """
        ...


@runtime_checkable
class PlotDrawer(Protocol):
    """A model that draws plots of itself at work. Without, a run has its training curves only."""

    def draw_plots(self, batch: Any, /) -> Mapping[str, Figure]:
        """Plots of this model at work, by file name without suffix.

        Called once after testing with one batch of the test data, on the model's device, in
        evaluation mode and without gradients; it may also draw from what ``test_step`` gathered.
        """
        ...


@runtime_checkable
class HasHead(Protocol):
    """A model that can be fine-tuned. Without, or with none, ``zoo finetune`` refuses it; another
    training may start from its weights as they are (``init_from``)."""

    @property
    def head(self) -> tuple[str, ...]:
        """Names of the submodules that a new task replaces, such as ``("network.head",)``.

        Asked for by fine-tuning, which loads everything but the head and can train it alone.
        """
        ...


if TYPE_CHECKING:
    # Python has no intersection of types: this says "and", for annotations in the core.

    class ZooLightningModule(LightningModule, ZooModule, HasHead):
        """A LightningModule that has the members of ``ZooModule``, and may have a head."""
