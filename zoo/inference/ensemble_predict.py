"""Several models on files: each reads and predicts by itself, what they say is averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.bundles.ensemble import Ensemble, mean_and_disagreement
from zoo.errors import UsageError
from zoo.plugin.protocols import (
    DisagreementWriter,
    FileGrouper,
    PredictionDrawer,
    PredictionWriter,
    Predictor,
    SamplePredictor,
)

DISAGREEMENT = "disagreement"
"""The column, and the map: 0 where all say the same, 1 where each is sure of another class."""


@dataclass(frozen=True)
class Joint:
    """What an ensemble makes of a file.

    Attributes:
        output: As of the first member, with the mean probabilities.
        disagreement: (...), from 0 to 1.
    """

    output: Any
    disagreement: Tensor


class EnsemblePredictor:
    """A ``Predictor`` of an ensemble: a sample is a list of those of the members. What the first
    member can draw and write, it can. It predicts sample by sample where one of the members does,
    and otherwise in batches (``zoo.inference.predict``), whose outputs it joins.

    Args:
        ensemble: On its device, in evaluation mode.

    Raises:
        UsageError: a member does not read files.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.members: list[Any] = list(ensemble.models)
        self.lead = lead = self.members[0]
        for name, member in zip(ensemble.names, self.members, strict=True):
            if not isinstance(member, Predictor):
                raise UsageError(
                    f"the model of {name} does not say how it reads a file (read_file), so it "
                    "cannot predict on files"
                )
        # Of the instance, so that it has what the first member has, and no more.
        if isinstance(lead, PredictionDrawer):
            self.draw_predictions = self._draw
        if any(isinstance(member, SamplePredictor) for member in self.members):
            self.predict_sample = self._predict
        if isinstance(lead, PredictionWriter):
            self.write_prediction = self._write

    @property
    def input_suffixes(self) -> tuple[str, ...]:
        """Those of the first."""
        suffixes: tuple[str, ...] = self.lead.input_suffixes
        return suffixes

    def group_files(self, files: Sequence[Path]) -> list[Path]:
        """As the first groups them; the others are told of them too."""
        grouped = [
            member.group_files(files) if isinstance(member, FileGrouper) else list(files)
            for member in self.members
        ]
        return list(grouped[0])

    def read_file(self, path: Path) -> list[Any]:
        """The file as each member reads it."""
        return [member.read_file(path) for member in self.members]

    def predict_step(self, batch: Sequence[Tensor], batch_idx: int) -> list[Joint]:
        """One output for each sample.

        Args:
            batch: The stacked samples of each member.
            batch_idx: Of the batch.
        """
        pairs = zip(self.members, batch, strict=True)
        outputs = [member.predict_step(samples, batch_idx) for member, samples in pairs]
        return [self.join(each) for each in zip(*outputs, strict=True)]

    def _predict(self, sample: Sequence[Any]) -> Joint:
        pairs = zip(self.members, sample, strict=True)
        return self.join([_output(member, each) for member, each in pairs])

    def join(self, outputs: Sequence[Any]) -> Joint:
        """The outputs of all members for one file.

        Raises:
            UsageError: their probabilities differ in shape.
        """
        pairs = zip(self.members, outputs, strict=True)
        parts = [member.probabilities_of(output).float().cpu() for member, output in pairs]
        if len({part.shape for part in parts}) > 1:
            shapes = ", ".join("x".join(map(str, part.shape)) for part in parts)
            raise UsageError(
                f"the models' probabilities differ in shape and cannot be averaged: {shapes}"
            )
        mean, disagreement = mean_and_disagreement(torch.stack(parts))
        return Joint(self.lead.with_probabilities(outputs[0], mean), disagreement)

    def describe_prediction(self, output: Joint) -> dict[str, Any]:
        """What the first member says of the mean, and the mean disagreement."""
        row = dict(self.lead.describe_prediction(output.output))
        return {**row, DISAGREEMENT: round(float(output.disagreement.mean()), 6)}

    def _draw(self, names: Sequence[str], samples: Sequence[Any], outputs: Sequence[Joint]) -> Any:
        means = [output.output for output in outputs]
        return self.lead.draw_predictions(names, [sample[0] for sample in samples], means)

    def _write(
        self, name: str, sample: Any, output: Joint, folder: Path, probabilities: bool
    ) -> dict[str, str]:
        written = self.lead.write_prediction(name, sample[0], output.output, folder, probabilities)
        if probabilities and isinstance(self.lead, DisagreementWriter):
            more = self.lead.write_disagreement(name, sample[0], output.disagreement, folder)
            written = {**written, **more}
        return dict(written)


def _output(member: Any, sample: Any) -> Any:
    if isinstance(member, SamplePredictor):
        return member.predict_sample(sample)
    device = next(member.parameters()).device
    return member.predict_step(sample.unsqueeze(0).to(device), 0)[0].cpu()
