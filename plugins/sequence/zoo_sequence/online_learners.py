"""Learners that see the examples of a function one by one: what a meta-learner is compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_sequence.data.quadratics import basis

RATES = (0.01, 0.03, 0.1, 0.3, 1.0)


def online_ridge(points: Tensor, values: Tensor, penalty: float = 1e-6) -> Tensor:
    """Ridge regression on the quadratic basis after the examples before each.

    Args:
        points: (N, T, 2).
        values: (N, T).
        penalty: Of the squared weights.

    Returns:
        What it tells of each point, float64 (N, T).
    """
    rows, wanted = basis(points.double()), values.double() - 0.5
    squares = rows[..., :, None] * rows[..., None, :]
    products = rows * wanted[..., None]
    before = [(each.cumsum(1) - each) for each in (squares, products)]
    eye = penalty * torch.eye(rows.shape[2], dtype=torch.float64)
    weights = torch.linalg.solve(before[0] + eye, before[1])
    told: Tensor = (rows * weights).sum(2) + 0.5
    return told


def online_mlp(points: Tensor, values: Tensor, hidden: int = 10) -> Tensor:
    """A net of tanh units that makes one step of gradient descent after each example, for every
    function at the rate of ``RATES`` that serves all of them best.

    Args:
        points: (N, T, 2).
        values: (N, T).
        hidden: Units.

    Returns:
        What it tells of each point before it learns of it, (N, T).
    """
    told = [_descend(points, values, hidden, rate) for rate in RATES]
    return min(told, key=lambda each: float((each - values).square().mean()))


def _descend(points: Tensor, values: Tensor, hidden: int, rate: float) -> Tensor:
    random = torch.Generator().manual_seed(0)
    count, steps, features = points.shape
    first = torch.randn(count, hidden, features + 1, generator=random) / (features + 1) ** 0.5
    second = torch.randn(count, hidden + 1, generator=random) / (hidden + 1) ** 0.5
    found = []
    for step in range(steps):
        inputs = torch.cat([points[:, step], torch.ones(count, 1)], 1)
        inner = torch.einsum("nhf,nf->nh", first, inputs).tanh()
        units = torch.cat([inner, torch.ones(count, 1)], 1)
        output = (units * second).sum(1)
        found.append(output)
        error = output - values[:, step]
        back = error[:, None] * second[:, :hidden] * (1 - inner.square())
        second = second - rate * error[:, None] * units
        first = first - rate * back[..., None] * inputs[:, None]
    return torch.stack(found, 1)
