"""A stack of blocks over time: mixers and feedforward nets with residual connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from zoo_fastweights.layers.backend import Form
from zoo_fastweights.layers.mixers import build_mixer

WIDENING = {"lstm": 2, "self-referential": 5, "delta-rnn": 3}
"""Hidden units of the feedforward net, in widths, next to mixers that have more or fewer weights
than the 4 d^2 of attention: all blocks have about 12 d^2."""


class Block(nn.Module):
    """``x + mixer(norm(x))``, then ``x + feedforward(norm(x))``.

    Args:
        kind: The mixer.
        dim: Numbers d of a token.
        heads: Of the mixer.
        dropout: Of what is added.
        form: For the delta rules.
        attention_conv: Width of the short convolutions of softmax attention.
        conv: Width of those of the fast weight layers.
    """

    def __init__(
        self,
        kind: str,
        dim: int,
        heads: int,
        dropout: float = 0.0,
        form: Form = "auto",
        attention_conv: int = 0,
        conv: int = 4,
    ) -> None:
        super().__init__()
        hidden = WIDENING.get(kind, 4) * dim
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mixer = build_mixer(kind, dim, heads, form, attention_conv, conv)
        self.feedforward = nn.Sequential(
            nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim), nn.Dropout(dropout)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        mixed, state = self.mixer(self.before(x), state)
        x = x + self.dropout(mixed)
        return x + self.feedforward(self.between(x)), state


class Stack(nn.Module):
    """Blocks one after the other, (N, T, dim) to the same, normalized at the end.

    Args:
        kinds: The mixer of each block.
        dim: Numbers of a token.
        heads: Of each mixer.
        dropout: In each block.
        form: For the delta rules.
        attention_conv: Width of the short convolutions of softmax attention.
        conv: Width of those of the fast weight layers.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        dim: int,
        heads: int,
        dropout: float = 0.0,
        form: Form = "auto",
        attention_conv: int = 0,
        conv: int = 4,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(kind, dim, heads, dropout, form, attention_conv, conv) for kind in kinds
        )
        self.norm = nn.LayerNorm(dim)

    def mixers(self) -> list[nn.Module]:
        """The mixer of each block."""
        return [block.mixer for block in self.blocks if isinstance(block, Block)]

    def forward(self, x: Tensor, states: Sequence[Any] | None = None) -> tuple[Tensor, list[Any]]:
        """Outputs and, for each block, what the next call continues with.

        Args:
            x: Tokens (N, T, dim).
            states: What earlier tokens left; None begins a sequence.
        """
        after = []
        for number, block in enumerate(self.blocks):
            x, state = block(x, None if states is None else states[number])
            after.append(state)
        return self.norm(x), after


def kinds_of(mixer: str, layers: int, attention_every: int) -> list[str]:
    """The mixer of each layer: every ``attention_every``-th is softmax attention, none for 0."""
    return [
        "softmax" if attention_every and not number % attention_every else mixer
        for number in range(1, layers + 1)
    ]
