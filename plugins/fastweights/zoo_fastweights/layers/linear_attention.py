"""Linear attention: a memory that sums outer products of values and keys.

    S_t = S_{t-1} + k_t v_t^T            z_t = z_{t-1} + k_t
    o_t = S_t^T q_t                      normalized: o_t = S_t^T q_t / (z_t . q_t + epsilon)

``k`` and ``q`` are features, as of ``feature_maps``. The purely additive fast weight programmer of
1991 has the same equations, with FROM for keys and TO for values. A step is written before it is
read. Four forms agree: ``recurrent`` (the equations), ``chunkwise`` (matrix products within chunks,
a loop over chunks), ``step`` (one token of a stream) and ``parallel`` (the attention matrix).

Sources: Schmidhuber: Learning to Control Fast-Weight Memories, Neural Computation 4(1), 1992;
Katharopoulos, Vyas, Pappas, Fleuret: Transformers are RNNs, ICML 2020, equations 16 to 20.

Shapes: q, k (..., T, d), v (..., T, e), the state (..., d, e), or (..., d, e + 1) where it is
normalized, with z in the last column; outputs (..., T, e).
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_fastweights.layers.chunks import (
    at_least_float32,
    chunk_of,
    from_chunks,
    in_full_precision,
    require_steps,
    to_chunks,
)
from zoo_fastweights.layers.feature_maps import EPSILON


def _with_ones(v: Tensor, normalized: bool) -> Tensor:
    return torch.cat([v, torch.ones_like(v[..., :1])], dim=-1) if normalized else v


def _divided(o: Tensor, normalized: bool) -> Tensor:
    return o[..., :-1] / (o[..., -1:] + EPSILON) if normalized else o


def empty_state(k: Tensor, v: Tensor) -> Tensor:
    """A memory of zeros (..., d, e) for keys (..., T, d) and values (..., T, e)."""
    return k.new_zeros(*k.shape[:-2], k.shape[-1], v.shape[-1])


def linear_attention_step(
    q: Tensor, k: Tensor, v: Tensor, state: Tensor, normalized: bool = True
) -> tuple[Tensor, Tensor]:
    """One token of a stream: q, k (..., d), v (..., e); output (..., e) and the next state. In half
    precision it is computed and kept in float32."""
    dtype = v.dtype
    q, k, v, state = at_least_float32(q, k, v, state)
    with in_full_precision(q):
        output, state = _step(q, k, v, state, normalized)
    return output.to(dtype), state


def _step(
    q: Tensor, k: Tensor, v: Tensor, state: Tensor, normalized: bool
) -> tuple[Tensor, Tensor]:
    state = state + k.unsqueeze(-1) * _with_ones(v, normalized).unsqueeze(-2)
    return _divided((q.unsqueeze(-2) @ state).squeeze(-2), normalized), state


def linear_attention_recurrent(
    q: Tensor, k: Tensor, v: Tensor, normalized: bool = True, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The equations, step by step; outputs and the last state. In half precision it is computed in
    float32."""
    dtype = v.dtype
    require_steps(q)
    q, k, v = at_least_float32(q, k, v)
    state = empty_state(k, _with_ones(v, normalized)) if state is None else state.to(k.dtype)
    outputs = []
    with in_full_precision(q):
        for t in range(q.shape[-2]):
            output, state = _step(q[..., t, :], k[..., t, :], v[..., t, :], state, normalized)
            outputs.append(output)
    return torch.stack(outputs, dim=-2).to(dtype), state


def linear_attention_parallel(q: Tensor, k: Tensor, v: Tensor, normalized: bool = True) -> Tensor:
    """The whole attention matrix (..., T, T); quadratic in T."""
    scores = (q @ k.mT).tril()
    return _divided(scores @ _with_ones(v, normalized), normalized)


def linear_attention_chunkwise(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    normalized: bool = True,
    state: Tensor | None = None,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention matrices within chunks, and a loop over chunks; outputs and the last state.

    Args:
        q: Features of queries.
        k: Features of keys.
        v: Values.
        normalized: Divide by the summed weights.
        state: What earlier tokens left; nothing, if None.
        chunk: Steps of a chunk, 32 or 64 if None; it need not divide T.
    """
    length, dtype = require_steps(q), v.dtype
    chunk = chunk_of(length, chunk)
    q, k, v = at_least_float32(q, k, v)
    with in_full_precision(q):
        v = _with_ones(v, normalized)
        state = empty_state(k, v) if state is None else state.to(k.dtype)
        q, k, v = (to_chunks(x, chunk) for x in (q, k, v))
        within = (q @ k.mT).tril() @ v
        written = k.mT @ v
        outputs = []
        for n in range(q.shape[-3]):
            outputs.append(within[..., n, :, :] + q[..., n, :, :] @ state)
            state = state + written[..., n, :, :]
        output = from_chunks(torch.stack(outputs, dim=-3), length)
        return _divided(output, normalized).to(dtype), state
