"""Models averaged with others, measured by given probabilities, seen in several views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from zoo.plugin.protocols.predicting import PredictionWriter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor


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
