"""Which form computes the delta rule.

The chunkwise form is the default on every device. On CUDA, where flash-linear-attention is
installed, its kernel is tried once for each precision and kind of rule: it is taken only if it
agrees with the chunkwise form and is faster.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor

from zoo.plugin import MissingDependencyError, ZooError, one_of
from zoo_fastweights.layers.delta_rule import (
    delta_rule_chunkwise,
    delta_rule_recurrent,
    delta_rule_step,
)

Form = Literal["auto", "chunkwise", "recurrent", "fla"]
Rule = Callable[
    [Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None], tuple[Tensor, Tensor]
]

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 2e-2, torch.float16: 1e-2}
"""How far, relative to the largest output, the kernel may be from the chunkwise form."""

_chosen: dict[tuple[torch.dtype, bool], Rule] = {}


def delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None = None,
    state: Tensor | None = None,
    form: Form = "auto",
) -> tuple[Tensor, Tensor]:
    """The delta rule, gated where there is a decay; outputs and the last memory.

    Args:
        q: Queries (N, H, T, d).
        k: Keys (N, H, T, d), normalized.
        v: Values (N, H, T, e).
        beta: Rates (N, H, T).
        log_decay: Logarithms of the decay (N, H, T); None for the plain rule.
        state: Memory (N, H, d, e) that earlier tokens left.
        form: ``auto``, ``chunkwise``, ``recurrent``, or ``fla`` for its kernel alone.

    Raises:
        MissingDependencyError: ``fla`` is asked for and flash-linear-attention is not installed.
        ZooError: ``fla`` is asked for and tensors are not on CUDA, or it disagrees.
        UsageError: there is no such form.
    """
    one_of("form", form, get_args(Form))
    if q.shape[2] == 1 and form != "fla" and state is not None:
        return _one_token(q, k, v, beta, log_decay, state)
    return _rule(q, k, v, beta, log_decay, state, form)(q, k, v, beta, log_decay, state)


def _one_token(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor]:
    decay = None if log_decay is None else log_decay[:, :, 0]
    output, state = delta_rule_step(q[:, :, 0], k[:, :, 0], v[:, :, 0], beta[:, :, 0], state, decay)
    return output.unsqueeze(2), state


def _rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None,
    state: Tensor | None,
    form: Form,
) -> Rule:
    if form == "recurrent":
        return delta_rule_recurrent
    installed = importlib.util.find_spec("fla") is not None
    if form == "fla":
        if not installed:
            raise MissingDependencyError(
                "form 'fla' needs flash-linear-attention: pip install flash-linear-attention, or "
                "leave form as it is"
            )
        if not q.is_cuda:
            raise ZooError(f"form 'fla' needs tensors on CUDA, and these are on {q.device}")
    if form == "chunkwise" or not (installed and q.is_cuda and q.dtype in TOLERANCE):
        return delta_rule_chunkwise
    key = (q.dtype, log_decay is not None)
    if key not in _chosen:
        _chosen[key] = _choose(q, k, v, beta, log_decay, state, required=form == "fla")
    return _chosen[key]


def _choose(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None,
    state: Tensor | None,
    required: bool,
) -> Rule:
    """The kernel of fla, if it agrees on these tensors and is faster."""
    arguments = (q, k, v, beta, log_decay, state)
    with torch.no_grad():
        expected, _ = delta_rule_chunkwise(*arguments)
        found, _ = fla_delta_rule(*arguments)
        off = float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-6))
        agrees = off <= TOLERANCE[q.dtype]
        if required and not agrees:
            raise ZooError(
                f"fla's kernel differs from the delta rule by {off:.2g} of the largest output on "
                f"{torch.cuda.get_device_name(q.device)}: leave form as it is"
            )
        faster = required or _seconds(partial(fla_delta_rule, *arguments)) < _seconds(
            partial(delta_rule_chunkwise, *arguments)
        )
    return fla_delta_rule if agrees and faster else delta_rule_chunkwise


def _seconds(call: Callable[[], object], repeats: int = 3) -> float:
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def fla_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None = None,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """flash-linear-attention's kernels, which have the steps before the heads and scale queries."""
    ops = importlib.import_module("fla.ops")
    q, k, v, beta = (x.transpose(1, 2).contiguous() for x in (q, k, v, beta))
    options = {"scale": 1.0, "initial_state": state, "output_final_state": True}
    if log_decay is None:
        output, after = ops.chunk_delta_rule(q=q, k=k, v=v, beta=beta, **options)
    else:
        decay = log_decay.transpose(1, 2).contiguous()
        output, after = ops.chunk_gated_delta_rule(q=q, k=k, v=v, g=decay, beta=beta, **options)
    return output.transpose(1, 2), after
