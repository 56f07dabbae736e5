"""From genomes, which are searched, to weights."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Encoding(ABC):
    """A fixed map from genomes (P, ``size``) to weights (P, weights)."""

    size: int
    """Numbers in a genome."""

    @abstractmethod
    def decode(self, genomes: Tensor) -> Tensor:
        """Weights (P, weights) of genomes (P, size)."""


class Direct(Encoding):
    """A weight is a number of the genome.

    Args:
        size: Weights.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def decode(self, genomes: Tensor) -> Tensor:
        """The genomes themselves."""
        return genomes
