"""What the training entrypoint asks of a model and of a dataset, as protocols.

Nothing has to be inherited: a LightningModule and a LightningDataModule with these members
are enough. ``zoo.testing`` checks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from torch import Tensor

Facts = dict[str, Any]
"""What a dataset knows: JSON values under names that models use as constructor arguments."""


@runtime_checkable
class ZooModule(Protocol):
    """A LightningModule of the zoo.

    Its constructor arguments are primitives (or lists and dicts of them), typed and documented,
    saved with ``save_hyperparameters()``; they alone rebuild it. An argument that a recipe
    leaves out and that has the name of one of the dataset's facts receives that fact. It logs
    fractions under ``train/...``, ``val/...`` and ``test/...``.

    It may also have ``preprocessing`` (JSON values for the bundle's readers), ``weights_license``
    (text), ``choose_accelerator(data)`` (``cpu`` or ``cuda``, asked where a recipe leaves the
    choice to the Trainer), ``real_inputs()`` (inputs of ``forward`` to compare an exported file
    on, where the batches of its data hold none), and as class attributes ``task_arguments`` (the
    constructor arguments that fine-tuning takes from the new data; ``num_classes`` and
    ``label_names`` without) and what ``zoo.testing`` asks for.
    """

    @property
    def head(self) -> tuple[str, ...]:
        """Names of the submodules that a new task replaces, such as ``("network.head",)``."""
        ...

    @property
    def example_input(self) -> Tensor:
        """A small valid input of ``forward``, with a batch axis of length 2 or more."""
        ...

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Pictures of this model at work, by file name without suffix.

        Called once after testing with one batch of the test data, on the model's device; it may
        also draw from what ``test_step`` gathered.
        """
        ...


@runtime_checkable
class Predictor(Protocol):
    """What a module adds so that ``zoo predict`` applies it to a user's own files.

    ``predict_step(batch, 0)`` is Lightning's; it gets the stacked samples and returns one output
    for each. A model whose samples cannot be stacked, or that writes a file of its own for each,
    also has ``predict_sample(sample)`` and ``write_prediction(name, sample, output, folder,
    probabilities)``; see ``zoo.inference.predict``. One whose inputs may be several files each, such as
    one for every channel, has ``group_files(files)``: of all files found, the one for each input
    that ``read_file`` is to be called with.
    """

    @property
    def input_suffixes(self) -> tuple[str, ...]:
        """Suffixes, in lower case with the dot, of the files taken from a folder."""
        ...

    def read_file(self, path: Path) -> Tensor:
        """One sample, as the dataset's loader would give it; raises ``UsageError`` naming the
        file if it cannot be read."""
        ...

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """What the model says, as JSON values: a row of ``predictions.csv``."""
        ...

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Figure:
        """A page of samples under what the model says of them."""
        ...


@runtime_checkable
class Player(Protocol):
    """What a module that acts in an environment has instead of a ``Predictor``'s members."""

    def play(self, folder: Path | None) -> list[dict[str, Any]]:
        """Play episodes: what ``zoo predict REF`` does with this model.

        It may have keyword arguments of its own, typed, with defaults and documented: they are
        options of the command, ``episodes: int = 10`` is ``--episodes``.

        Args:
            folder: Where to write animations or pictures; None: nothing is written.

        Returns:
            One row of JSON values for each episode, for ``predictions.csv``.
        """
        ...


@runtime_checkable
class ZooDataModule(Protocol):
    """A LightningDataModule of the zoo.

    Its constructor takes ``batch_size``, ``num_workers`` and ``seed``, ``root`` where it reads
    files, and ``split`` where the data has parts (``"all"``: everything found is test data).
    ``facts`` and ``setup`` raise ``zoo.errors.UsageError`` with the path and the remedy when
    something is missing, unreadable or inconsistent. ``setup`` may be called more than once.
    """

    @property
    def facts(self) -> Facts:
        """What the data knows, read from it without training: JSON values by argument name."""
        ...
