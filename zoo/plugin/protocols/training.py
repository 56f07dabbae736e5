"""What a model declares about its training: defaults, counts, what is monitored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightning.pytorch import LightningDataModule


@runtime_checkable
class AcceleratorChooser(Protocol):
    """A model that knows where it trains faster. Without, Lightning takes a GPU if there is
    one."""

    def choose_accelerator(self, data: LightningDataModule, /) -> str:
        """``cpu`` or ``cuda``; asked before training where the recipe leaves the choice to the
        Trainer.

        Args:
            data: The datamodule it is trained on, set up for fitting.
        """
        ...


@runtime_checkable
class HasCounters(Protocol):
    """A model or dataset that counts: sequences, evaluations, environment steps. Without, a
    training is measured in epochs and steps alone.

    What is counted is a column of ``metrics.csv``, stands on the epoch lines, and is a unit of
    budgets (``--budget evaluations=5000``), schedules, windows and ``trainer.val_check_interval``;
    the first, of the model if it counts, is the x axis of the curves.
    """

    @property
    def counters(self) -> Mapping[str, int]:
        """Whole numbers by a word each, which only grow, and cost little to read.

        A dict that is an attribute (``self.counters = {"evaluations": 0}``) is carried through
        checkpoints by the core. Where it is a property, what it is made from is kept by its
        owner, as a buffer or in ``state_dict``.
        """
        ...


@runtime_checkable
class HasTrainerDefaults(Protocol):
    """A model class (the attribute is the class's) that needs other settings of the Trainer than
    Lightning's defaults. Without, it gets those."""

    @property
    def trainer_defaults(self) -> Mapping[str, Any]:
        """Arguments of the Trainer in the form of a recipe's ``trainer``, such as
        ``{"num_sanity_val_steps": 0}``.

        A training takes those that the recipe does not name and writes them into its resolved
        recipe; a measurement takes those that concern one.
        """
        ...


@runtime_checkable
class HasFixedShapes(Protocol):
    """A model class (the attribute is the class's) that says whether its training steps see the
    same few shapes. Without, these may differ from step to step, as of clips of any length."""

    @property
    def fixed_shapes(self) -> bool:
        """True: on a GPU cuDNN tries its convolutions at each new shape and keeps the fastest."""
        ...


@runtime_checkable
class HasMonitor(Protocol):
    """A model that names the metric by which the best of its epochs is chosen. Without, the last
    epoch is kept, unless a recipe has a ``ModelCheckpoint`` that monitors a metric.

    It is taken in fine-tuning and on data of ``HasKeepBest`` that have a validation part, where
    the recipe names no ``ModelCheckpoint``.
    """

    @property
    def monitor(self) -> str:
        """A metric that every validation logs, such as ``val/accuracy``."""
        ...

    @property
    def monitor_mode(self) -> str:
        """``max`` or ``min``: which value is the best."""
        ...


@runtime_checkable
class HasMetricNames(Protocol):
    """A model that logs metrics under other names than the zoo's. Without, they are kept under the
    names that it logs."""

    @property
    def metric_names(self) -> Mapping[str, str]:
        """Names that it logs to those that loggers, progress and callbacks get, such as
        ``{"image_AUROC": "test/image_AUROC"}``; ``{stage}`` in a new name stands for ``train``,
        ``val`` or ``test``, as in ``{"loss": "{stage}/loss"}``. All others stay as they are."""
        ...


@runtime_checkable
class HasDynamicTensors(Protocol):
    """A model, or a module inside it, with parameters or buffers whose shapes come from the data,
    such as a memory bank. Without, a file whose shapes are not the constructor's is refused."""

    @property
    def dynamic_tensors(self) -> tuple[str, ...]:
        """Beginnings of their names in the ``state_dict`` of this module, such as ``("bank",)``.

        Before weights are loaded, from a bundle or a checkpoint, on resuming and on fine-tuning,
        they are given the shapes of the file; one that does not exist yet becomes a buffer. The
        module's own ``load_state_dict`` then takes the numbers.
        """
        ...


@runtime_checkable
class Growing(Protocol):
    """A model, or a module inside it, that gets more submodules while it learns. Without, a file
    that holds more tensors than the constructor makes is refused."""

    def grow_to(self, shapes: Mapping[str, tuple[int, ...]], /) -> None:
        """Have the submodules that a file holds: make those that are missing, and remove those
        that it lacks, as the best epoch may have fewer than the last.

        Called before weights are loaded; on resuming, before ``configure_optimizers``. It may run
        on torch's meta device, where tensors hold no numbers.

        Args:
            shapes: Shape of each tensor of the file, by its name in the ``state_dict`` of this
                module.
        """
        ...
