"""Compressed networks: a genome is the low frequencies of each weight matrix.

    for each weight matrix, of as many dimensions as it has:        Dct
      its share of the K coefficients fills the corner of low frequencies, along
      diagonals from the origin                                     diagonal_order
      the inverse cosine transform of that array is the matrix      basis

Koutník, Gomez, Schmidhuber: Evolving neural networks in compressed weight space, GECCO 2010;
Gomez, Koutník, Schmidhuber: Compressed network complexity search, PPSN 2012.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod, sqrt

import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_evolution.encodings.base import Encoding


class Dct(Encoding):
    """Weights from few cosine coefficients, one array for each matrix.

    The coefficients are divided over the matrices in proportion to the square root of their
    weights, at least one each. The inverse transform is scaled so that a coefficient of standard
    deviation 1 in every place would give weights of standard deviation 1.

    Args:
        shapes: Of the matrices, in the order of the weight vector.
        coefficients: K, in all.

    Raises:
        UsageError: there are fewer coefficients than matrices, or more than weights.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], coefficients: int) -> None:
        sizes = [prod(shape) for shape in shapes]
        if not len(shapes) <= coefficients <= sum(sizes):
            raise UsageError(
                f"{coefficients} coefficients do not fit {len(shapes)} weight matrices of "
                f"{sum(sizes)} weights in all: set coefficients from {len(shapes)} to {sum(sizes)}"
            )
        self.size = coefficients
        self.shares = divided(coefficients, sizes)
        """Coefficients of each matrix."""
        self._basis = [
            basis(shape, share) for shape, share in zip(shapes, self.shares, strict=True)
        ]

    def decode(self, genomes: Tensor) -> Tensor:
        """Weights (P, weights) of coefficients (P, K)."""
        parts = genomes.split(self.shares, dim=1)
        pairs = zip(parts, self._basis, strict=True)
        return torch.cat([part @ rows.to(part) for part, rows in pairs], 1)


def divided(coefficients: int, sizes: Sequence[int]) -> list[int]:
    """How many coefficients each matrix gets: at least one, at most its size."""
    shares = [1] * len(sizes)
    wanted = [sqrt(size) for size in sizes]
    for _ in range(coefficients - len(sizes)):
        open_ones = [i for i, size in enumerate(sizes) if shares[i] < size]
        most = max(open_ones, key=lambda i: wanted[i] / shares[i])
        shares[most] += 1
    return shares


def diagonal_order(shape: tuple[int, ...], count: int) -> list[tuple[int, ...]]:
    """The first ``count`` places of an array, along diagonals from the origin: by the sum of the
    indices, and on a diagonal by the indices themselves."""
    bound = 0
    while prod(min(bound + 1, each) for each in shape) < count:
        bound += 1
    # All places of a sum up to the dimension times the bound are within a box of that side.
    side = [min(each, bound * len(shape) + 1) for each in shape]
    places = sorted(product(*map(range, side)), key=lambda place: (sum(place), place))
    return places[:count]


def basis(shape: tuple[int, ...], count: int) -> Tensor:
    """What each of the first ``count`` coefficients adds to an array: float64 (count, weights)."""
    axes = [cosines(length) for length in shape]
    rows = []
    for place in diagonal_order(shape, count):
        row = torch.ones((), dtype=torch.float64)
        for axis, frequency in zip(axes, place, strict=True):
            row = (row[..., None] * axis[frequency]).flatten()
        rows.append(row)
    return torch.stack(rows)


def cosines(length: int) -> Tensor:
    """The rows of the orthonormal inverse cosine transform of type II, times the root of the
    length: frequency by place, float64 (length, length)."""
    places = torch.arange(length, dtype=torch.float64)
    angles = torch.pi / length * (places + 0.5) * places[:, None]
    rows = angles.cos() * sqrt(2)
    rows[0] = 1
    return rows
