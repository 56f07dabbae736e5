"""What a dataset has, and what it may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lightning.pytorch import LightningDataModule

    from zoo.plugin.folds import Fold, FoldSamples

Facts = dict[str, Any]
"""The facts of a dataset: JSON values under names that models use as constructor arguments."""


@runtime_checkable
class ZooDataModule(Protocol):
    """A LightningDataModule of the zoo.

    Its constructor takes ``batch_size``, ``num_workers`` and ``seed``, ``root`` where it reads
    files, and ``split`` where the data has parts (``"all"``: everything found is test data).
    ``facts`` and ``setup`` raise ``UsageError`` with the path and the remedy when something is
    missing, unreadable or inconsistent. ``setup`` may be called more than once. The loader method
    of a part that has no samples returns an empty list or raises ``EmptyPartError``: without a
    validation part nothing is validated, without a test part nothing is tested (``has_part``).
    """

    @property
    def facts(self) -> Facts:
        """The facts of the data, read without training: JSON values by argument name.

        Asked for after ``prepare_data`` and before ``setup``.
        """
        ...


@runtime_checkable
class HasKeepBest(Protocol):
    """A dataset class (the attribute is the class's) that says which epoch of a training on it
    is kept. Without, the last, as in a publication's protocol."""

    @property
    def keep_best(self) -> bool:
        """True for data of the user's own: where they have a validation part, the best epoch by
        the model's ``monitor`` is kept."""
        ...


@runtime_checkable
class DataDescriber(Protocol):
    """A dataset that says what it found. Without, the line at the start of a training tells the
    model and the device alone. ``BaseDataModule`` has it."""

    def describe_found(self) -> Sequence[str]:
        """Short phrases, the most telling first: ``275 images``, ``8 classes``, ``198/36/41
        train/val/test``; also what is uneven, such as ``3 to 90 training images a class``.

        Asked for once the data are set up for fitting; nothing is read for it that the training
        does not read.
        """
        ...


@runtime_checkable
class PlotCaptioner(Protocol):
    """A model (the attribute is the class's) that says what its plots show. Without, they stand
    on the page of a run under their names."""

    @property
    def plot_captions(self) -> Mapping[str, str]:
        """A sentence for each plot that ``draw_plots`` may return, by its name, in the order in
        which a page shows them: the worst mistakes or episodes first."""
        ...


@runtime_checkable
class Foldable(Protocol):
    """A dataset whose training and validation parts can be divided in other ways. Without, ``zoo
    crossval`` refuses it.

    The test part stays what it is. ``val_dataloader`` gives the samples of the fold in the order
    of ``fold_samples``.
    """

    def fold_samples(self) -> FoldSamples:
        """The samples of the training and the validation part, in an order that depends on the
        files alone; the same whatever the fold.

        Asked for after ``prepare_data``.
        """
        ...

    def use_fold(self, fold: Fold, /) -> None:
        """Divide them as a fold says. Called before ``facts`` and ``setup``, which raise
        ``OtherDataError`` (``Fold.is_val`` does) where the samples are not those of the fold."""
        ...


@runtime_checkable
class NotFoldable(Protocol):
    """A dataset class (the attribute is the class's) that cannot be divided into folds, with the
    reason. Without, ``zoo crossval`` says which members it lacks."""

    @property
    def not_foldable(self) -> str:
        """The reason, which ``zoo crossval`` shows."""
        ...


@runtime_checkable
class HasFixedTestBatches(Protocol):
    """A dataset class (the attribute is the class's) that says whether its test batches are the
    same whatever the fold. Without, they may depend on it, as by a normalization, and each member
    of an ensemble of folds is given its own."""

    @property
    def fixed_test_batches(self) -> bool:
        """True: they are read once for all members."""
        ...


@runtime_checkable
class HeadStarter(Protocol):
    """A model that starts a new head otherwise than a model that is trained from scratch. Without,
    a new head begins as the constructor leaves it."""

    def start_head(self) -> None:
        """Initialize the head. Called in fine-tuning where the head is new, once the other
        weights are loaded."""
        ...


@runtime_checkable
class HasPlan(Protocol):
    """A datamodule that chooses some of its arguments by what it finds in the data. Without, the
    arguments are those given."""

    @property
    def planned_arguments(self) -> Mapping[str, Any]:
        """Constructor arguments to the values chosen, JSON values: written into the recipe, which
        is then the whole of the run. Empty where nothing was to be chosen, without reading the
        data.

        Asked for after ``prepare_data``, of ``zoo train --print-config`` too.
        """
        ...


if TYPE_CHECKING:
    # Python has no intersection of types: this says "and", for annotations in the core.

    class ZooLightningDataModule(LightningDataModule, ZooDataModule):
        """A LightningDataModule that has the members of ``ZooDataModule``."""
