"""Leaky echo state networks, many at once, and their readout by ridge regression.

    x(t) = (1 - a) x(t-1) + a tanh(V [1; u(t)] + W x(t-1)),    y(t) = R [x(t); u(t); 1]

Source: Jaeger: The "echo state" approach, GMD report 148, 2001; leaky units, and readouts of
interpolated states: Jaeger, Lukosevicius, Popovici, Siewert: Optimization and applications of echo
state networks with leaky-integrator neurons, Neural Networks 20(3), 2007.
"""

from __future__ import annotations

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
        found = []
        for drive in driven:
            state = (1 - self.leak) * state + self.leak * torch.baddbmm(drive, state, inner).tanh()
            found.append(state)
        return torch.stack(found, 2)


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
