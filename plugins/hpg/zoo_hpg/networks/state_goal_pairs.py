"""A net on every (step, goal) of a batch, within bounded memory.

Steps whose states are the same share their pairs with goals, and only those pairs are computed
that are asked for. Nothing here knows of episodes: a step is a state and an action.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from zoo_hpg.networks.goal_net import GoalNet, log_probabilities

Outputs = Callable[[Tensor], Tensor]
"""From sums (P, units) of a state's and a goal's part of a net's first layer to its outputs."""


def distinct_states(states: Tensor) -> tuple[Tensor, Tensor]:
    """The different states, and which of them each one is.

    Args:
        states: (M, ...). Images are taken to be all different, which is cheaper than to
            compare them.

    Returns:
        States (S, ...), and int64 (M,) indices into them.
    """
    if states.ndim == 2:
        unique, state_of = torch.unique(states, dim=0, return_inverse=True)
        return unique, state_of
    return states, torch.arange(len(states), device=states.device)


@torch.no_grad()
def evaluate_pairs(
    outputs: Outputs,
    state_parts: Tensor,
    goal_parts: Tensor,
    state_of: Tensor,
    needed: Tensor,
    max_pairs: int,
    choice: Tensor | None = None,
) -> Tensor:
    """Outputs of a net for steps and goals, without gradient.

    Args:
        outputs: The net behind its first layer.
        state_parts: (S, units).
        goal_parts: (G, units).
        state_of: int64 (M,), the state of each step.
        needed: bool (M, G), what to compute.
        max_pairs: Pairs of a state and a goal that go through the net at once.
        choice: int64 (M,), the action of each step, for the logarithm of its softmax; None for
            the net's only output.

    Returns:
        (M, G), 0 where not needed.
    """
    kind = torch.promote_types(state_parts.dtype, torch.float32)
    values = state_parts.new_zeros(needed.shape, dtype=kind)
    for first, last in _goal_blocks(needed.sum(0), max_pairs):
        steps, goals = needed[:, first:last].nonzero(as_tuple=True)
        goals = goals + first
        pairs, pair_of = _pairs(state_of[steps], goals, len(state_parts), len(goal_parts))
        chunks = [
            outputs(_sums(state_parts, goal_parts, part)) for part in torch.split(pairs, max_pairs)
        ]
        if choice is None:
            values[steps, goals] = torch.cat(chunks)[pair_of, 0].to(kind)
        else:
            table = torch.cat([log_probabilities(each) for each in chunks])
            values[steps, goals] = table[pair_of, choice[steps]].to(kind)
    return values


def weighted_log_probabilities(
    net: GoalNet,
    state_parts: Tensor,
    goal_parts: Tensor,
    state_of: Tensor,
    actions: Tensor,
    coefficients: tuple[Tensor, Tensor, Tensor],
    max_pairs: int,
) -> Tensor:
    """The sum of coefficients times log-probabilities, whose gradient is the policy's.

    Where it takes more than one chunk, each chunk's gradient is computed at once and added up, so
    that the activations of one chunk are held at a time.

    Args:
        net: The policy.
        state_parts: As for ``evaluate_pairs``, with gradient.
        goal_parts: As there, with gradient.
        state_of: As there.
        actions: int64 (M,).
        coefficients: Steps int64 (K,), goals int64 (K,) and values (K,).
        max_pairs: As there.

    Returns:
        A scalar.
    """
    steps, goals, values = coefficients
    choices = net.head.out_features
    pairs, pair_of = _pairs(state_of[steps], goals, len(state_parts), len(goal_parts))
    sums = values.new_zeros(len(pairs) * choices)
    sums.index_add_(0, pair_of * choices + actions[steps], values)
    chunks = torch.split(pairs, max_pairs)
    weights = torch.split(sums.view(-1, choices), max_pairs)

    def weighted(states: Tensor, goals: Tensor, part: Tensor, weight: Tensor) -> Tensor:
        scores = net.joined(_sums(states, goals, part)).to(weight.dtype)  # from half precision
        return (log_probabilities(scores) * weight).sum()

    if len(chunks) == 1:
        return weighted(state_parts, goal_parts, chunks[0], weights[0])
    behind = [*net.layers.parameters(), *net.head.parameters()]
    parts = [each.detach().requires_grad_() for each in (state_parts, goal_parts)]
    gradients = [torch.zeros_like(each) for each in (*parts, *behind)]
    total = values.new_zeros(())
    for chunk, weight in zip(chunks, weights, strict=True):
        with torch.enable_grad():
            value = weighted(parts[0], parts[1], chunk, weight)
        added = torch.autograd.grad(value, [*parts, *behind])
        for gradient, more in zip(gradients, added, strict=True):
            gradient += more
        total += value.detach()
    objective: Tensor = _WithGradients.apply(total, gradients, state_parts, goal_parts, *behind)
    return objective


class _WithGradients(torch.autograd.Function):
    """A value of inputs whose gradients are known already."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *inputs: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        return None, None, *(gradient * outer[0] for gradient in ctx.gradients)


def _pairs(states: Tensor, goals: Tensor, count: int, width: int) -> tuple[Tensor, Tensor]:
    """The different pairs (P,) as ``state * width + goal``, and which each entry is (K,)."""
    keys = states * width + goals
    if len(keys) * 8 < count * width:
        unique, pair_of = torch.unique(keys, return_inverse=True)
        return unique, pair_of
    present = torch.zeros(count * width, dtype=torch.bool, device=keys.device)
    present[keys] = True
    position = present.cumsum(0) - 1
    return present.nonzero()[:, 0], position[keys]


def _sums(states: Tensor, goals: Tensor, pairs: Tensor) -> Tensor:
    width = len(goals)
    return states.index_select(0, pairs // width).add_(goals.index_select(0, pairs % width))


def _goal_blocks(counts: Tensor, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of goals with about ``size`` entries each, and at least one goal."""
    blocks = (counts.cumsum(0) - counts) // size
    first = 0
    for length in torch.unique_consecutive(blocks, return_counts=True)[1].tolist():
        yield first, first + length
        first += length
