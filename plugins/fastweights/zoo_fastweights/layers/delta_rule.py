"""The delta rule, plain and gated: a memory that replaces what it holds under a key.

    S_t = a_t S_{t-1} + b_t k_t (v_t - a_t S_{t-1}^T k_t)^T        o_t = S_t^T q_t

with the rate ``b`` (beta) in [0, 1], or [0, 2] for negative eigenvalues, and the decay
``a = exp(log_decay)`` in (0, 1]; without ``log_decay`` it is 1, which is the plain rule. A step is
written before it is read. Four forms agree: ``recurrent`` (the equations), ``chunkwise`` (what
models train with), ``step`` (one token of a stream) and ``pseudo_values`` (one solve for a whole
short sequence).

The chunkwise form. With ``g_t`` the summed log decay within a chunk that begins with the memory
``S``, ``u_t = b_t (v_t - a_t S_{t-1}^T k_t)`` solves the unit lower triangular system

    (I + A) u = diag(b) V - diag(b exp(g)) K S,    A_ts = b_t exp(g_t - g_s) k_t . k_s for s < t

    O = diag(exp(g)) Q S + (Q K^T * exp(g_t - g_s) for s <= t) u
    S = exp(g_C) S + (diag(exp(g_C - g)) K)^T u

so that all but a loop over chunks are batched matrix products and one triangular solve.

**Keys have to be normalized.** ``S`` is multiplied by ``I - b k k^T``, whose eigenvalue
``1 - b |k|^2`` is outside of [-1, 1] for long keys: the memory then grows without bound in every
form. ``require_contraction`` finds that.

Sources: Schlag, Irie, Schmidhuber: Linear Transformers Are Secretly Fast Weight Programmers, ICML
2021, equations 23 to 25; Yang, Wang, Zhang, Shen, Kim: Parallelizing Linear Transformers with the
Delta Rule over Sequence Length, NeurIPS 2024, section 3; Yang, Kautz, Hatamizadeh: Gated Delta
Networks, ICLR 2025, section 3.

Shapes: q, k (..., T, d), v (..., T, e), beta and log_decay (..., T), state (..., d, e), outputs
(..., T, e).
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.plugin import ZooError
from zoo_fastweights.layers.chunks import (
    at_least_float32,
    chunk_of,
    from_chunks,
    in_full_precision,
    require_steps,
    to_chunks,
)
from zoo_fastweights.layers.linear_attention import empty_state
from zoo_fastweights.layers.triangular import solve_unit_lower


def require_contraction(k: Tensor, beta: Tensor) -> None:
    """Require that no step of the delta rule makes the memory grow.

    Args:
        k: Keys (..., T, d).
        beta: Rates (..., T).

    Raises:
        ZooError: a step multiplies what is stored by less than -1; names the step.
    """
    strength = (beta * k.square().sum(-1)).detach()
    worst = float(strength.max())
    if worst <= 2 + 1e-3:
        return
    step = int(strength.flatten(0, -2).amax(0).argmax()) if strength.ndim > 1 else 0
    raise ZooError(
        f"the delta rule explodes: at step {step} of a sequence beta |k|^2 is {worst:.3g}, so that "
        f"the memory is multiplied by {1 - worst:.3g}; normalize the keys ('sum' or 'l2')"
    )


def delta_rule_step(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, state: Tensor, log_decay: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """One token of a stream.

    Args:
        q: Query (..., d).
        k: Key (..., d).
        v: Value (..., e).
        beta: Rate (...).
        state: Memory (..., d, e).
        log_decay: Logarithm of the decay (...), not above 0; None for the plain rule.

    Returns:
        Output (..., e) and the next memory; in half precision it is computed and kept in float32.
    """
    dtype = v.dtype
    q, k, v, beta, state = at_least_float32(q, k, v, beta, state)
    if log_decay is not None:
        (log_decay,) = at_least_float32(log_decay)
    with in_full_precision(q):
        output, state = _step(q, k, v, beta, state, log_decay)
    return output.to(dtype), state


def _step(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, state: Tensor, log_decay: Tensor | None
) -> tuple[Tensor, Tensor]:
    if log_decay is not None:
        state = state * log_decay.exp()[..., None, None]
    held = (k.unsqueeze(-2) @ state).squeeze(-2)
    change = beta.unsqueeze(-1) * (v - held)
    state = state + k.unsqueeze(-1) * change.unsqueeze(-2)
    return (q.unsqueeze(-2) @ state).squeeze(-2), state


def delta_rule_recurrent(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None = None,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The equations, step by step; outputs and the last memory. In half precision it is computed in
    float32."""
    dtype = v.dtype
    require_steps(q)
    q, k, v, beta = at_least_float32(q, k, v, beta)
    if log_decay is not None:
        (log_decay,) = at_least_float32(log_decay)
    state = empty_state(k, v) if state is None else state.to(k.dtype)
    outputs = []
    with in_full_precision(q):
        for t in range(q.shape[-2]):
            decay = None if log_decay is None else log_decay[..., t]
            output, state = _step(
                q[..., t, :], k[..., t, :], v[..., t, :], beta[..., t], state, decay
            )
            outputs.append(output)
    return torch.stack(outputs, dim=-2).to(dtype), state


def pseudo_values(k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
    """Values ``u`` (..., T, e) whose plain sum over keys is what the delta rule holds at the end.

    ``S_T = K^T u``: with few queries at the end of a short sequence, ``q K^T u`` is cheaper than
    the memory itself. One triangular solve, quadratic in T.

    Args:
        k: Keys (..., T, d).
        v: Values (..., T, e).
        beta: Rates (..., T).
    """
    rate = beta.unsqueeze(-1)
    overlap = (rate * (k @ k.mT)).tril(-1)
    return solve_unit_lower(overlap, rate * v)


def delta_rule_chunkwise(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None = None,
    state: Tensor | None = None,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """A triangular solve within chunks, and a loop over chunks; outputs and the last memory.

    In half precision it is computed in float32.

    Args:
        q: Queries.
        k: Keys, normalized.
        v: Values.
        beta: Rates.
        log_decay: Logarithms of the decay, not above 0; None for the plain rule.
        state: What earlier tokens left; nothing, if None.
        chunk: Steps of a chunk, 32 or 64 if None; it need not divide T.
    """
    length, dtype = require_steps(q), v.dtype
    chunk = chunk_of(length, chunk)
    q, k, v, beta = at_least_float32(q, k, v, beta)
    with in_full_precision(q):
        state = empty_state(k, v) if state is None else state.to(k.dtype)
        q, k, v = (to_chunks(x, chunk) for x in (q, k, v))
        rate = to_chunks(beta.unsqueeze(-1), chunk)
        if log_decay is None:
            output, state = _plain(q, k, v, rate, state)
        else:
            (log_decay,) = at_least_float32(log_decay)
            gathered = to_chunks(log_decay.unsqueeze(-1), chunk).cumsum(-2)
            output, state = _gated(q, k, v, rate, gathered, state)
        return from_chunks(output, length).to(dtype), state


def _plain(q: Tensor, k: Tensor, v: Tensor, rate: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    scaled = rate * k
    overlap = (scaled @ k.mT).tril(-1)
    solved = solve_unit_lower(overlap, torch.cat([scaled, rate * v], dim=-1))
    removed, added = solved.split([k.shape[-1], v.shape[-1]], dim=-1)
    scores = (q @ k.mT).tril()
    outputs = []
    for n in range(q.shape[-3]):
        u = added[..., n, :, :] - removed[..., n, :, :] @ state
        outputs.append(q[..., n, :, :] @ state + scores[..., n, :, :] @ u)
        state = state + k[..., n, :, :].mT @ u
    return torch.stack(outputs, dim=-3), state


def _gated(
    q: Tensor, k: Tensor, v: Tensor, rate: Tensor, gathered: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    # Above the diagonal the difference is positive and its exponential may be infinite: mask first.
    between = (gathered - gathered.mT).tril().exp().tril()
    scaled = rate * k
    overlap = (scaled @ k.mT * between).tril(-1)
    since_start = gathered.exp()
    solved = solve_unit_lower(overlap, torch.cat([since_start * scaled, rate * v], -1))
    removed, added = solved.split([k.shape[-1], v.shape[-1]], dim=-1)
    scores = q @ k.mT * between
    to_end = (gathered[..., -1:, :] - gathered).exp() * k
    outputs = []
    for n in range(q.shape[-3]):
        u = added[..., n, :, :] - removed[..., n, :, :] @ state
        outputs.append(
            since_start[..., n, :, :] * q[..., n, :, :] @ state + scores[..., n, :, :] @ u
        )
        state = since_start[..., n, -1:, :] * state + to_end[..., n, :, :].mT @ u
    return torch.stack(outputs, dim=-3), state
