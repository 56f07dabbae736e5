"""Leaky echo state networks, many at once, and their readout by ridge regression.

    x(t) = (1 - a) x(t-1) + a tanh(V [1; u(t)] + W x(t-1)),    y(t) = R [x(t); u(t); 1]

Source: Jaeger: The "echo state" approach, GMD report 148, 2001; leaky units, and readouts of
interpolated states: Jaeger, Lukosevicius, Popovici, Siewert: Optimization and applications of echo
state networks with leaky-integrator neurons, Neural Networks 20(3), 2007.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Reservoirs(nn.Module):
    """An ensemble of reservoirs, run side by side; usable without Lightning.

    Args:
        channels: Numbers of a step.
        units: Of each reservoir.
        members: Reservoirs.
        spectral_radius: Largest absolute eigenvalue of each W. With leaky units no bound on it
            decides stability by itself: the matrix (1 - a) I + a W does.
        leak: a, 1 for units that forget their state at once.
        input_scale: Weights of the inputs and the bias are uniform from minus to plus this.
        density: Share of the weights of W that are not 0.
    """

    into: Tensor
    inner: Tensor

    def __init__(
        self,
        channels: int,
        units: int,
        members: int = 1,
        spectral_radius: float = 0.9,
        leak: float = 1.0,
        input_scale: float = 0.5,
        density: float = 1.0,
    ) -> None:
        super().__init__()
        self.leak = leak
        drawn = 2 * torch.rand(members, units, units, dtype=torch.float64) - 1
        drawn *= torch.rand(members, units, units) < density
        radius = torch.linalg.eigvals(drawn).abs().amax(1).clamp_min(1e-9)
        self.register_buffer("inner", (drawn * (spectral_radius / radius)[:, None, None]).float())
        into = input_scale * (2 * torch.rand(members, units, channels + 1) - 1)
        self.register_buffer("into", into)

    def start(self, count: int) -> Tensor:
        """States before the first step, (members, N, units), of so many series."""
        members, units, _ = self.inner.shape
        return self.inner.new_zeros(members, count, units)

    def forward(self, series: Tensor, state: Tensor | None = None) -> Tensor:
        """States after each step.

        Args:
            series: (N, T, channels).
            state: (members, N, units) before the first; zeros if None.

        Returns:
            (members, N, T, units).
        """
        state = self.start(len(series)) if state is None else state
        ones = series.new_ones(*series.shape[:2], 1)
        driven = torch.einsum("ntc,muc->tmnu", torch.cat([ones, series], 2), self.into)
        inner = self.inner.transpose(1, 2)
        if _plain(driven, state, inner):
            return _written_in_place(driven, state, inner, self.leak)
        found = []
        for drive in driven:
            state = (1 - self.leak) * state + self.leak * torch.baddbmm(drive, state, inner).tanh()
            found.append(state)
        return torch.stack(found, 2)


def _plain(driven: Tensor, state: Tensor, inner: Tensor) -> bool:
    """Whether nobody asks for gradients, a graph or another precision."""
    graph = torch.is_grad_enabled() and (driven.requires_grad or state.requires_grad)
    same = driven.dtype == state.dtype == inner.dtype
    return same and not graph and not torch.compiler.is_compiling()


def _written_in_place(driven: Tensor, state: Tensor, inner: Tensor, leak: float) -> Tensor:
    """States as of ``forward``, in three operations a step: of a short vector, a new tensor takes
    longer than its numbers.

    Args:
        driven: What the inputs add, (T, members, N, units).
        state: Before the first step, (members, N, units).
        inner: Transposed weights, (members, units, units).
        leak: Of the units.
    """
    found, moved = torch.empty_like(driven), torch.empty_like(state)
    single = state.numel() == state.shape[-1] and driven.device.type == "cpu"
    if single and driven.dtype in (torch.float32, torch.float64):
        _one_of_numpy(driven, state, inner, leak, found)
        return found.movedim(0, 2)
    for after, drive in zip(found.unbind(0), driven.unbind(0), strict=True):
        torch.baddbmm(drive, state, inner, out=moved)
        state = torch.lerp(state, moved.tanh_(), leak, out=after)
    return found.movedim(0, 2).contiguous()


def _one_of_numpy(driven: Tensor, state: Tensor, inner: Tensor, leak: float, found: Tensor) -> None:
    """The same of one reservoir along one series: numpy begins each operation sooner, which is
    what a step of some hundred units consists of."""
    weights = np.ascontiguousarray(inner[0].detach().numpy().T)
    before, moved = state.flatten().detach().numpy(), np.empty(state.shape[-1], weights.dtype)
    rows = zip(driven.flatten(1).detach().numpy(), found.flatten(1).numpy(), strict=True)
    for drive, after in rows:
        np.dot(weights, before, out=moved)
        moved += drive
        np.tanh(moved, out=moved)
        moved -= before
        moved *= leak
        before = np.add(before, moved, out=after)


def ridge(squares: Tensor, products: Tensor, penalty: float) -> Tensor:
    """The readouts R' = (S'S + penalty I)^-1 S'Y, by a Cholesky decomposition.

    Args:
        squares: S'S (members, D, D), float64.
        products: S'Y (members, D, K), float64.
        penalty: Of the squared weights.

    Returns:
        (members, D, K), float64.
    """
    eye = torch.eye(squares.shape[-1], dtype=squares.dtype, device=squares.device)
    factor = torch.linalg.cholesky(squares + penalty * eye)
    return torch.cholesky_solve(products, factor)


def at_support(states: Tensor, lengths: Tensor, points: int) -> Tensor:
    """States of series of unequal lengths at as many points of each, interpolated linearly: of D
    points the k-th lies k / D of the way from the first step to the last.

    The first step is none of them: it shows little of a leaky unit. Source: Jaeger and others,
    2007, section 6.

    Args:
        states: (members, N, T, U).
        lengths: int64 (N,).
        points: D; 1 takes the last step.

    Returns:
        (members, N, points * U).
    """
    ends = (lengths.to(states.device) - 1).double()
    share = torch.arange(1, points + 1, dtype=torch.float64, device=states.device) / points
    places = ends[:, None] * share
    low = places.floor().long()
    high = torch.minimum(low + 1, ends.long()[:, None])
    part = (places - low).to(states.dtype)[None, ..., None]

    def pick(index: Tensor) -> Tensor:
        wide = index[None, ..., None].expand(len(states), -1, -1, states.shape[3])
        return states.gather(2, wide)

    return ((1 - part) * pick(low) + part * pick(high)).flatten(2)
