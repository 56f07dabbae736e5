"""The members that the zoo asks of a model and of a dataset, and those that they may have.

Nothing has to be inherited: a LightningModule with the members of ``ZooModule`` and a
LightningDataModule with those of ``ZooDataModule`` are enough; ``zoo.testing`` checks them. Every
other protocol is optional, and says what the core does without it. The core asks an object by
``isinstance`` and a class by ``offers``; attributes that have a default are read by the functions
of ``zoo.plugin.declarations``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lightning.pytorch import LightningDataModule, LightningModule
    from matplotlib.figure import Figure
    from torch import Tensor

    from zoo.plugin.folds import Fold, FoldSamples

Facts = dict[str, Any]
"""The facts of a dataset: JSON values under names that models use as constructor arguments."""


def offers(cls: type, protocol: type) -> bool:
    """Whether the instances of a class have every member of a protocol; nothing is evaluated.

    ``issubclass`` refuses protocols with properties.

    Args:
        cls: The class of a model or dataset.
        protocol: A protocol of this module.
    """
    members = {name for base in protocol.__mro__ for name in vars(base) if name[0] != "_"}
    return all(hasattr(cls, name) for name in members)


# A model: what every one has.


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


# A model: predictions on a user's own files (``zoo predict REF PATH...``).


@runtime_checkable
class Predictor(Protocol):
    """A model that ``zoo predict`` applies to a user's own files. Without, it refuses files.

    The samples of files are stacked where their shapes agree and given to ``predict_step``; a
    ``SamplePredictor`` gets each sample by itself.
    """

    @property
    def input_suffixes(self) -> tuple[str, ...]:
        """Suffixes, in lower case with the dot, of the files taken from a folder."""
        ...

    def read_file(self, path: Path, /) -> Any:
        """One sample, as the dataset's loader would give it.

        Returns:
            A Tensor without a batch axis; a ``SamplePredictor`` may return a type of its own.

        Raises:
            UsageError: the file cannot be read; the sentence names it. The others are predicted.
        """
        ...

    def predict_step(self, batch: Tensor, batch_idx: int, /) -> Tensor:
        """Lightning's own member: one output for each of the stacked samples, (N, ...)."""
        ...

    def describe_prediction(self, output: Any, /) -> dict[str, Any]:
        """One output as JSON values: a row of ``predictions.csv``."""
        ...


@runtime_checkable
class PredictionDrawer(Predictor, Protocol):
    """A Predictor that draws its predictions. Without, ``--out`` gets the table alone, and what the
    model writes itself."""

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Any], outputs: Sequence[Any], /
    ) -> Figure:
        """A page of samples under what the model says of them.

        Args:
            names: The files' names.
            samples: As ``read_file`` returned them.
            outputs: One for each sample.
        """
        ...


@runtime_checkable
class SamplePredictor(Predictor, Protocol):
    """A Predictor whose samples cannot be stacked. Without, they are, and go to
    ``predict_step``."""

    def predict_sample(self, sample: Any, /) -> Any:
        """The output for one sample, under ``torch.inference_mode``; it moves the sample to the
        model's device itself.

        Raises:
            ZooError: this sample cannot be predicted; the sentence says why.
        """
        ...


@runtime_checkable
class PredictionWriter(SamplePredictor, Protocol):
    """A SamplePredictor that writes files of its own, such as label maps. Without, only the
    table and the pages of pictures are written, and only with ``--out``."""

    def write_prediction(
        self, name: str, sample: Any, output: Any, folder: Path, probabilities: bool, /
    ) -> Mapping[str, str]:
        """Write one prediction.

        Args:
            name: The file's name without suffix, unique in this call of ``zoo predict``.
            sample: As ``read_file`` returned it.
            output: As ``predict_sample`` returned it.
            folder: Where to; the path inside it is the model's choice.
            probabilities: Write probability maps too.

        Returns:
            The files written, by what they are; kept in ``predictions.json``.
        """
        ...


@runtime_checkable
class FileGrouper(Predictor, Protocol):
    """A Predictor whose inputs may be several files each, such as one for every channel.
    Without, every file is an input."""

    def group_files(self, files: Sequence[Path], /) -> list[Path]:
        """Of all files found, the one for each input that ``read_file`` is called with."""
        ...


# A model: averaged with others (ensembles), measured by given probabilities, seen in several views.


@runtime_checkable
class EnsembleMember(Protocol):
    """A model of classes whose probabilities can be averaged with those of others: a member of an
    ensemble. Without, several references of it are refused."""

    @property
    def label_names(self) -> Sequence[str]:
        """The classes' names, in order; those of all members have to be the same."""
        ...

    def to_probabilities(self, outputs: Tensor, /) -> Tensor:
        """What ``forward`` returns as probabilities, of the same shape."""
        ...

    def probabilities_of(self, output: Any, /) -> Tensor:
        """The probabilities (classes, ...) behind one prediction on a file: one row of
        ``predict_step``, or what ``predict_sample`` returned. Those of one file agree in shape,
        whichever member makes them.

        Raises:
            UsageError: it has none that can be averaged; the sentence says why.
        """
        ...

    def with_probabilities(self, output: Any, probabilities: Tensor, /) -> Any:
        """The same prediction with other probabilities (classes, ...)."""
        ...


@runtime_checkable
class ProbabilityTester(Protocol):
    """A model that can be tested by given probabilities: those of an ensemble, or those that the
    models of several folds gave. Without, an ensemble of it is not tested, and the folds of a
    cross-validation have their own metrics alone."""

    def predict_step(self, batch: Any, batch_idx: int, /) -> Tensor:
        """Probabilities of a labelled batch of validation or test, one for each sample along the
        first axis."""
        ...

    def measure_probabilities(self, batch: Any, probabilities: Tensor, /) -> None:
        """What ``test_step`` measures of a batch, of these probabilities instead of its own."""
        ...

    def describe_batch(self, batch: Any, probabilities: Tensor, /) -> Sequence[Mapping[str, Any]]:
        """One row of JSON values for each sample of a labelled batch: the truth, what was
        predicted, or how well."""
        ...


@runtime_checkable
class ViewAverager(Protocol):
    """A model that can average its probabilities over changed views of each input, such as mirror
    images (``--tta``). Without, the option is refused."""

    def use_tta(self) -> Sequence[str]:
        """From now on average in predictions and tests.

        Returns:
            The views that are averaged, in words, the input as it is first.

        Raises:
            UsageError: there is no view that the training says is as good; the sentence says why.
        """
        ...


@runtime_checkable
class DisagreementWriter(PredictionWriter, Protocol):
    """A PredictionWriter that writes a map of how much the members of an ensemble disagree.
    Without, there is the column ``disagreement`` alone."""

    def write_disagreement(
        self, name: str, sample: Any, disagreement: Tensor, folder: Path, /
    ) -> Mapping[str, str]:
        """Write one map.

        Args:
            name: As of ``write_prediction``.
            sample: As ``read_file`` returned it.
            disagreement: From 0 to 1, of the shape of the probabilities without classes.
            folder: Where to.

        Returns:
            The files written, by what they are.
        """
        ...


# A model: what it makes without files (``zoo predict REF``).


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


# A model: training, bundles, export.


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


# Both: what a class declares to the conformance kit.


@runtime_checkable
class HasConformanceArguments(Protocol):
    """A class (the attribute is the class's) that says how it is small. Without, the kit takes
    the arguments of a recipe that names it, or the defaults."""

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


# A dataset.


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
    # Python has no intersection of types: these say "and", for annotations in the core.

    class ZooLightningModule(LightningModule, ZooModule, HasHead):
        """A LightningModule that has the members of ``ZooModule``, and may have a head."""

    class ZooLightningDataModule(LightningDataModule, ZooDataModule):
        """A LightningDataModule that has the members of ``ZooDataModule``."""
