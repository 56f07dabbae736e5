"""Functions that methods are compared on; each has its minimum 0 unless it says otherwise.

Hansen, Ros, Mauny, Schoenauer, Auger: Impacts of invariance in search, Applied Soft Computing 11
(2011); Wierstra et al., JMLR 15 (2014), section 5.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]
"""From points (n, d) to values (n,), which are to be small."""


def sphere(points: Tensor) -> Tensor:
    """The sum of squares."""
    return (points**2).sum(1)


def ellipsoid(points: Tensor) -> Tensor:
    """Squares weighted from 1 to a million, evenly in the exponent."""
    return (points**2) @ _weights(points)


def rotated_ellipsoid(points: Tensor) -> Tensor:
    """The ellipsoid turned by a rotation that depends on the dimension alone."""
    return ellipsoid(points @ rotation(points.shape[1]).to(points))


def cigar(points: Tensor) -> Tensor:
    """One light direction among heavy ones: x_1^2 + 10^6 times the others' squares."""
    return points[:, 0] ** 2 + 1e6 * (points[:, 1:] ** 2).sum(1)


def tablet(points: Tensor) -> Tensor:
    """One heavy direction among light ones: 10^6 x_1^2 + the others' squares."""
    return 1e6 * points[:, 0] ** 2 + (points[:, 1:] ** 2).sum(1)


def rosenbrock(points: Tensor) -> Tensor:
    """A bent valley; its minimum is at (1, ..., 1)."""
    ahead, behind = points[:, 1:], points[:, :-1]
    terms: Tensor = 100 * (ahead - behind**2) ** 2 + (1 - behind) ** 2
    return terms.sum(1)


def lennard_jones(points: Tensor) -> Tensor:
    """The energy of a cluster of d / 3 atoms in units of the potential's depth: the sum over pairs
    of 4 (r^-12 - r^-6). The least known energy of 13 atoms is -44.3268."""
    atoms = points.unflatten(1, (-1, 3))
    first, second = torch.triu_indices(atoms.shape[1], atoms.shape[1], 1)
    squared = ((atoms[:, first] - atoms[:, second]) ** 2).sum(2).clamp(min=1e-4)
    power = squared**-3
    energies: Tensor = 4 * (power**2 - power)
    return energies.sum(1)


def rotation(dimension: int) -> Tensor:
    """A rotation (d, d), float64, always the same of a dimension."""
    random = torch.Generator().manual_seed(dimension)
    drawn = torch.randn(dimension, dimension, generator=random, dtype=torch.float64)
    turned: Tensor = torch.linalg.qr(drawn).Q
    return turned


def _weights(points: Tensor) -> Tensor:
    dimension = points.shape[1]
    exponents = torch.arange(dimension, dtype=torch.float64) / max(1, dimension - 1)
    return (10 ** (6 * exponents)).to(points)


FUNCTIONS: dict[str, tuple[Function, float]] = {
    "sphere": (sphere, 2.0),
    "ellipsoid": (ellipsoid, 2.0),
    "rotated-ellipsoid": (rotated_ellipsoid, 2.0),
    "cigar": (cigar, 2.0),
    "tablet": (tablet, 2.0),
    "rosenbrock": (rosenbrock, -1.0),
    "lennard-jones": (lennard_jones, 0.0),
}
"""Each with the number that all coordinates of a search's start are."""
