"""Layers that mix tokens over time, (N, T, dim) to (N, T, dim), with one interface.

``forward(x, state)`` returns outputs and what the next call continues with: None begins a sequence.
Called with all tokens at once it is the parallel form, with one token at a time the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import one_of, require
from zoo_fastweights.layers.backend import Form, delta_rule
from zoo_fastweights.layers.delta_rnn import DeltaRNN
from zoo_fastweights.layers.delta_rule import require_contraction
from zoo_fastweights.layers.feature_maps import NORMALIZATIONS, dpfp, elu1
from zoo_fastweights.layers.linear_attention import (
    empty_state,
    linear_attention_chunkwise,
    linear_attention_step,
)
from zoo_fastweights.layers.self_referential import SelfReferentialMatrix
from zoo_fastweights.layers.short_conv import ShortConv

Mixer = Literal["delta", "gated-delta", "sum", "softmax", "lstm", "self-referential", "delta-rnn"]
Features = Literal["silu", "elu1", "dpfp1", "dpfp2", "dpfp3"]
Normalization = Literal["l2", "sum", "none"]
State = Any
"""Tensors, or tuples of them, with the batch as first axis."""

FEATURE_MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "elu1": elu1,
    "dpfp1": lambda x: dpfp(x, 1),
    "dpfp2": lambda x: dpfp(x, 2),
    "dpfp3": lambda x: dpfp(x, 3),
}


class FastWeightLayer(nn.Module):
    """Keys, values, queries and rates are made of each token, which is written and then read.

    ``delta`` and ``gated-delta`` as in DeltaNet: short convolutions, features, normalized keys and
    queries, the rule, an RMSNorm of each head's output. ``sum`` as in the linear Transformer: ELU+1
    features and attention normalization, with the same convolutions.

    Sources: Schlag, Irie, Schmidhuber, ICML 2021; Yang and others, NeurIPS 2024, section 3.3, and
    for the decay ``exp(-softplus(a x + b) exp(A))`` Yang, Kautz, Hatamizadeh, ICLR 2025.

    Args:
        dim: Numbers of a token, a multiple of ``heads``.
        heads: Memories side by side.
        rule: ``delta``, ``gated-delta`` or ``sum``.
        features: Of keys and queries.
        normalization: Of the features; for the sum rule, attention is normalized instead.
        conv: Width of the short convolutions; 0 for none.
        negative: Rates up to 2, for eigenvalues from -1 on.
        form: Which form computes it; see ``backend``.

    Raises:
        UsageError: an argument is not one of its choices, or ``dim`` no multiple of ``heads``.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        rule: Literal["delta", "gated-delta", "sum"] = "delta",
        features: Features = "silu",
        normalization: Normalization = "l2",
        conv: int = 4,
        negative: bool = False,
        form: Form = "auto",
    ) -> None:
        super().__init__()
        one_of("rule", rule, ("delta", "gated-delta", "sum"))
        one_of("features", features, FEATURE_MAPS)
        one_of("normalization", normalization, NORMALIZATIONS)
        require(dim % heads == 0, f"dim is {dim}; it has to be a multiple of {heads}, the heads")
        self.heads, self.rule, self.form = heads, rule, form
        self.features, self.normalization = features, normalization
        self.top_rate = 2.0 if negative else 1.0
        self.slow = nn.Linear(dim, 3 * dim, bias=False)
        self.conv = ShortConv(3 * dim, conv) if conv else None
        self.output = nn.Linear(dim, dim, bias=False)
        if rule != "sum":
            self.rate = nn.Linear(dim, heads)
            self.norm = nn.RMSNorm(dim // heads, eps=1e-5)
        if rule == "gated-delta":
            self.decay = nn.Linear(dim, heads)
            self.log_speed = nn.Parameter(torch.zeros(heads))
            nn.init.constant_(self.decay.bias, -4.0)  # it begins close to the plain rule

    def _features(self, x: Tensor) -> Tensor:
        mapped: Tensor = FEATURE_MAPS[self.features](x)
        return NORMALIZATIONS[self.normalization](mapped)

    def begin_alike(self) -> None:
        """Let queries begin as keys do: a token then reads what tokens like it have written."""
        _queries_as_keys(self.slow)

    def rates(self, x: Tensor) -> Tensor:
        """Learning rates beta (N, T, heads) that the layer gives tokens (N, T, dim)."""
        rates: Tensor = self.top_rate * self.rate(x).sigmoid()
        return rates

    def empty_state(self, x: Tensor) -> State:
        """What a stream begins with, for tokens (N, T, dim): the last inputs of the convolutions
        and the memories."""
        made = self.slow(x[:, :1])
        _, k, v = made.unflatten(-1, (3, self.heads, -1)).movedim(1, 3).unbind(1)
        if self.rule == "sum":
            v = torch.cat([v, v[..., :1]], dim=-1)  # and the sum of keys
        seen = made.new_zeros(x.shape[0], 0) if self.conv is None else self.conv.empty_state(made)
        return seen, empty_state(self._features(k), v)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        seen, memory = (None, None) if state is None else state
        made = self.slow(x)
        if self.conv is not None:
            made, seen = self.conv(made, seen)
        elif seen is None:
            seen = made.new_zeros(x.shape[0], 0)
        vectors = made.unflatten(-1, (3, self.heads, -1)).movedim(1, 3)
        q, k, v = vectors.unbind(1)
        if self.rule == "sum":
            q, k = FEATURE_MAPS[self.features](q), FEATURE_MAPS[self.features](k)
            read, memory = _sum_rule(q, k, v, memory)
        else:
            read, memory = self._delta(x, q, k, v, memory)
        return self.output(read.transpose(1, 2).flatten(2)), (seen, memory)

    def _delta(
        self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, memory: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        q, k, beta = self._features(q), self._features(k), self.rates(x).transpose(1, 2)
        if self.normalization == "none" and self.training:
            require_contraction(k, beta)
        log_decay = None
        if self.rule == "gated-delta":
            log_decay = (-F.softplus(self.decay(x)) * self.log_speed.exp()).transpose(1, 2)
        read, memory = delta_rule(q, k, v, beta, log_decay, memory, self.form)
        return self.norm(read), memory


def _sum_rule(q: Tensor, k: Tensor, v: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor]:
    if memory is None or q.shape[2] > 1:
        return linear_attention_chunkwise(q, k, v, state=memory)
    read, memory = linear_attention_step(q[:, :, 0], k[:, :, 0], v[:, :, 0], memory)
    return read.unsqueeze(2), memory


@torch.no_grad()
def _queries_as_keys(slow: nn.Linear) -> None:
    dim = slow.in_features
    slow.weight[:dim] = slow.weight[dim : 2 * dim]


class SoftmaxAttention(nn.Module):
    """Causal softmax attention with rotary positions: the memory that grows with every token.

    Sources: Vaswani and others: Attention Is All You Need, NeurIPS 2017; Su and others: RoFormer,
    2021, equation 34.

    Args:
        dim: Numbers of a token, a multiple of ``2 * heads``.
        heads: Heads.
        conv: Width of short convolutions on queries, keys and values; 0 for none.
    """

    def __init__(self, dim: int, heads: int, conv: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.slow = nn.Linear(dim, 3 * dim, bias=False)
        self.conv = ShortConv(3 * dim, conv) if conv else None
        self.output = nn.Linear(dim, dim, bias=False)

    def begin_alike(self) -> None:
        """Let queries begin as keys do: a token then attends to tokens like it."""
        _queries_as_keys(self.slow)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        seen: Tensor | None
        keys: Tensor | None
        values: Tensor | None
        seen, keys, values = (None, None, None) if state is None else state
        made = self.slow(x)
        if self.conv is not None:
            made, seen = self.conv(made, seen)
        q, k, v = made.unflatten(-1, (3, self.heads, -1)).movedim(1, 3).unbind(1)
        before = 0 if keys is None else keys.shape[2]
        q, k = rotate(q, before), rotate(k, before)
        visible = None
        if keys is not None and values is not None:
            k, v = torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2)
            visible = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=x.device)
            visible = visible.tril(before)
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=visible, is_causal=not before)
        return self.output(read.transpose(1, 2).flatten(2)), (seen, k, v)


def rotate(x: Tensor, start: int = 0) -> Tensor:
    """Rotary positions: pairs of numbers (i, i + d/2) of the token t turned by t / 10000^(2i/d).

    Args:
        x: (N, H, T, d), d even.
        start: Position of the first token.
    """
    half = x.shape[-1] // 2
    places = torch.arange(start, start + x.shape[-2], device=x.device, dtype=torch.float32)
    speeds = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = places[:, None] * speeds
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.split(half, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class LSTMMixer(nn.Module):
    """One LSTM layer (Hochreiter, Schmidhuber 1997; forget gates Gers, Schmidhuber, Cummins 2000).

    Args:
        dim: Numbers of a token, and cells.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        if state is not None:
            state = tuple(part.transpose(0, 1).contiguous() for part in state)
        output, after = self.lstm(x, state)
        return output, tuple(part.transpose(0, 1) for part in after)


def build_mixer(
    kind: str,
    dim: int,
    heads: int,
    form: Form = "auto",
    attention_conv: int = 0,
    conv: int = 4,
) -> nn.Module:
    """A mixer by its name.

    Args:
        kind: A ``Mixer``.
        dim: Numbers of a token.
        heads: Memories side by side, where there are any.
        form: For the delta rules; see ``backend``.
        attention_conv: Width of the short convolutions of softmax attention; 0 for none.
        conv: Width of those of the fast weight layers; 0 for none.

    Raises:
        UsageError: there is no such mixer.
    """
    one_of("mixer", kind, get_args(Mixer))
    if kind == "sum":
        return FastWeightLayer(dim, heads, "sum", features="elu1", normalization="none", conv=conv)
    if kind == "delta":
        return FastWeightLayer(dim, heads, "delta", conv=conv, form=form)
    if kind == "gated-delta":
        return FastWeightLayer(dim, heads, "gated-delta", conv=conv, form=form)
    if kind == "self-referential":
        return SelfReferentialMatrix(dim, heads)
    if kind == "delta-rnn":
        return DeltaRNN(dim, heads)
    return LSTMMixer(dim) if kind == "lstm" else SoftmaxAttention(dim, heads, attention_conv)
