"""A model's predictions on a user's own files (``zoo predict REF PATH...``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from torch import Tensor


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
