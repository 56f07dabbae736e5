"""Pictures of memories at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor


def question_picture(answers: Tensor, truth: Tensor) -> Figure:
    """Answers (Q, S), a row a question, with the right value of each (Q,) on the diagonal."""
    order = truth.argsort()
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(answers[order].numpy(), aspect="auto", vmin=0, vmax=1)
    axes.set_xlabel("value")
    axes.set_ylabel("question, by the right value")
    figure.colorbar(image, label="answer")
    return figure


def overlap_picture(features: Tensor) -> Figure:
    """Cosines between the features (T, p) under which steps are stored."""
    unit = torch.nn.functional.normalize(features, dim=-1)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow((unit @ unit.mT).numpy(), vmin=0, vmax=1)
    axes.set_xlabel("key")
    axes.set_ylabel("key")
    figure.colorbar(image, label="cosine of their features")
    return figure


def effective_rank(matrices: Tensor) -> Tensor:
    """``exp`` of the entropy of the normalized singular values of matrices (..., d, e): (...).

    Source: Roy, Vetterli: The Effective Rank, EUSIPCO 2007.
    """
    values = torch.linalg.svdvals(matrices.float())
    shares = values / values.sum(-1, keepdim=True).clamp(min=1e-12)
    return torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum(-1))


def line_picture(
    series: Mapping[str, Sequence[float] | Tensor], x_label: str, y_label: str
) -> Figure:
    """Lines over tokens, by what they are of. What is not a number is a gap, and where there are
    gaps each value has a dot."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for name, values in series.items():
        numbers = torch.as_tensor(values)
        marker = "." if bool(numbers.isnan().any()) else ""
        axes.plot(numbers.numpy(), marker=marker, label=name)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(fontsize="small")
    return figure
