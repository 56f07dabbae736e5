"""The recurrence of ``lstm97`` with its gradients written out.

``reference`` is the plain version, a loop over time steps that autograd differentiates;
``recurrence`` computes the same with few operations a step and without a graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """How the units of the hidden layer lie: cells, input gates, output gates, forget gates.

    Attributes:
        blocks: Memory cell blocks.
        size: Cells of a block; they share the gates.
        output_gate: Whether blocks have one.
        forget_gate: Whether blocks have one.
        squashing: ``1997``: g = 4s-2 and h = 2s-1 with the logistic s; ``tanh``: both tanh;
            ``linear``: g logistic, h the identity.
        truncated: Whether errors that leave a block or gate by its incoming recurrent connections
            end there, as in 1997.
    """

    blocks: int
    size: int
    output_gate: bool = True
    forget_gate: bool = False
    squashing: str = "1997"
    truncated: bool = True

    @property
    def cells(self) -> int:
        """All cells."""
        return self.blocks * self.size

    @property
    def units(self) -> int:
        """Cells and gates."""
        return self.cells + self.blocks * (1 + self.output_gate + self.forget_gate)

    @property
    def input_gates(self) -> slice:
        """Where the input gates lie."""
        return slice(self.cells, self.cells + self.blocks)

    @property
    def output_gates(self) -> slice:
        """Where the output gates lie; empty without."""
        start = self.cells + self.blocks
        return slice(start, start + self.blocks * self.output_gate)

    @property
    def forget_gates(self) -> slice:
        """Where the forget gates lie; empty without."""
        start = self.output_gates.stop
        return slice(start, start + self.blocks * self.forget_gate)


State = tuple[Tensor, Tensor]
"""Activations of all units (N, units) and states of the cells (N, cells)."""


def reference(nets: Tensor, weight: Tensor, state: State, layout: Layout) -> tuple[Tensor, State]:
    """The recurrence as its equations say, for autograd.

    With y(t) the activations of all units and s the logistic function, for a cell c of block j::

        net(t)  = nets(t) + W y(t-1)
        in_j    = s(net_in_j),  out_j = s(net_out_j),  forget_j = s(net_forget_j) or 1
        s_c(t)  = forget_j s_c(t-1) + in_j g(net_c)
        y_c(t)  = out_j h(s_c(t))

    Source: Hochreiter, Schmidhuber: Long Short-Term Memory, Neural Computation 9(8), 1997,
    equations 3 to 9; truncated: appendix A.1. Forget gates: Gers, Schmidhuber, Cummins: Learning
    to Forget, Neural Computation 12(10), 2000.

    Args:
        nets: What inputs and biases add to each unit, (N, T, units).
        weight: W, (units, units).
        state: Of the step before the first.
        layout: Of the units.

    Returns:
        Activations (N, T, units) and the last state.
    """
    last, cells = state
    outputs = []
    for net in nets.unbind(1):
        net = net + (last.detach() if layout.truncated else last) @ weight.T
        gates = net.sigmoid()
        wide = [
            gates[:, part].repeat_interleave(layout.size, 1)
            for part in (layout.input_gates, layout.output_gates, layout.forget_gates)
        ]
        own = net[:, : layout.cells]
        squashed = {"1997": 4 * own.sigmoid() - 2, "tanh": own.tanh(), "linear": own.sigmoid()}
        kept = wide[2] * cells if layout.forget_gate else cells
        cells = kept + wide[0] * squashed[layout.squashing]
        shown = {"1997": 2 * cells.sigmoid() - 1, "tanh": cells.tanh(), "linear": cells}
        shown_cells = shown[layout.squashing]
        emitted = wide[1] * shown_cells if layout.output_gate else shown_cells
        last = torch.cat([emitted, gates[:, layout.cells :]], 1)
        outputs.append(last)
    return torch.stack(outputs, 1), (last, cells)


def recurrence(nets: Tensor, weight: Tensor, state: State, layout: Layout) -> tuple[Tensor, State]:
    """As ``reference``, faster; no gradient reaches ``state``."""
    outputs, cells = _Recurrence.apply(nets, weight, *state, layout)
    return outputs, (outputs[:, -1].detach(), cells)


class _Recurrence(torch.autograd.Function):
    """With the cells' rows of nets and weight halved for ``1997``, g(net)/2 = tanh and
    h(s) = tanh(s/2): the loop keeps u = s/2 and has one squashing function."""

    @staticmethod
    def forward(
        ctx: Any, nets: Tensor, weight: Tensor, last: Tensor, cells: Tensor, layout: Layout
    ) -> tuple[Tensor, Tensor]:
        count, steps, _ = nets.shape
        half = 0.5 if layout.squashing == "1997" else 1.0
        scaled = weight.clone()
        scaled[: layout.cells] *= half
        y = nets.transpose(0, 1).clone(memory_format=torch.contiguous_format)
        y[..., : layout.cells] *= half
        squashed = y.new_empty(steps, count, layout.blocks, layout.size)
        states = y.new_empty(steps + 1, count, layout.blocks, layout.size)
        states[0] = (cells * half).view(count, layout.blocks, layout.size)
        shown = states[1:] if layout.squashing == "linear" else torch.empty_like(squashed)
        _run(y, scaled.T, last, squashed, states, shown, layout)
        ctx.save_for_backward(y, scaled, last, squashed, states, shown)
        ctx.layout, ctx.half = layout, half
        end = (states[-1] / half).view(count, layout.cells)
        ctx.mark_non_differentiable(end)
        return y.transpose(0, 1), end

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        y, scaled, last, squashed, states, shown = ctx.saved_tensors
        layout: Layout = ctx.layout
        back = _Backward(y, scaled, squashed, states, shown, layout)
        nets = back.run(grads[0].transpose(0, 1))
        nets[..., : layout.cells] *= ctx.half
        before = torch.cat([last[None], y[:-1]]).flatten(0, 1)
        weight = nets.flatten(0, 1).T @ before
        return nets.transpose(0, 1), weight, None, None, None


def _blocks(tensor: Tensor, part: slice) -> tuple[Tensor, ...]:
    """The gates of each step as (N, blocks, 1)."""
    return tensor[..., part].unsqueeze(-1).unbind(0)


def _run(
    y: Tensor,
    weight: Tensor,
    last: Tensor,
    squashed: Tensor,
    states: Tensor,
    shown: Tensor,
    layout: Layout,
) -> None:
    """Fill activations, squashed inputs, states and shown states, step by step, in place."""
    cells, linear = layout.cells, layout.squashing == "linear"
    own = y[..., :cells].unflatten(-1, (layout.blocks, layout.size)).unbind(0)
    gates = y[..., cells:].unbind(0)
    enter, leave = _blocks(y, layout.input_gates), _blocks(y, layout.output_gates)
    forget = _blocks(y, layout.forget_gates)
    g, u, h = squashed.unbind(0), states.unbind(0), shown.unbind(0)
    for step, net in enumerate(y.unbind(0)):
        net.addmm_(last, weight)
        gates[step].sigmoid_()
        (torch.sigmoid if linear else torch.tanh)(own[step], out=g[step])
        if layout.forget_gate:
            torch.mul(u[step], forget[step], out=u[step + 1])
            u[step + 1].addcmul_(enter[step], g[step])
        else:
            torch.addcmul(u[step], enter[step], g[step], out=u[step + 1])
        if not linear:
            torch.tanh(u[step + 1], out=h[step])
        if layout.output_gate:
            torch.mul(leave[step], h[step], out=own[step])
        else:
            own[step].copy_(h[step])
        last = net


class _Backward:
    """From the gradients of all activations to those of all net inputs."""

    def __init__(
        self,
        y: Tensor,
        weight: Tensor,
        squashed: Tensor,
        states: Tensor,
        shown: Tensor,
        layout: Layout,
    ) -> None:
        self.layout, self.weight = layout, weight
        gate = [y[..., p].unsqueeze(-1) for p in (layout.input_gates, layout.output_gates)]
        self.enter = gate[0]
        self.leave = gate[1] if layout.output_gate else torch.ones_like(gate[0])
        self.forget = y[..., layout.forget_gates].unsqueeze(-1)
        linear = layout.squashing == "linear"
        self.slope_g = squashed * (1 - squashed) if linear else 1 - squashed.square()
        # What a gradient of a cell's output adds to that of its state.
        self.to_state = self.leave * (1 if linear else 1 - shown.square())
        self.slope_gates = y[..., layout.cells :] * (1 - y[..., layout.cells :])
        self.squashed, self.states, self.shown = squashed, states, shown
        self.to_net = self.enter * self.slope_g

    def run(self, grads: Tensor) -> Tensor:
        """Gradients (T, N, units) of the net inputs."""
        return self._truncated(grads) if self.layout.truncated else self._full(grads)

    def _truncated(self, grads: Tensor) -> Tensor:
        """Errors go back in time inside the cells alone: all but that is one operation."""
        cells = grads[..., : self.layout.cells].unflatten(-1, self.squashed.shape[-2:])
        state = cells * self.to_state
        if self.layout.forget_gate:
            rows, forget = state.unbind(0), self.forget.unbind(0)
            for step in range(len(rows) - 2, -1, -1):
                rows[step].addcmul_(rows[step + 1], forget[step + 1])
        else:
            state = state.flip(0).cumsum(0).flip(0)
        gates = [(state * self.squashed).sum(-1)]
        if self.layout.output_gate:
            gates.append((cells * self.shown).sum(-1))
        if self.layout.forget_gate:
            gates.append((state * self.states[:-1]).sum(-1))
        # Errors at the gates' activations themselves, beside those by way of their cells.
        own = (torch.cat(gates, -1) + grads[..., self.layout.cells :]) * self.slope_gates
        return torch.cat([(state * self.to_net).flatten(-2), own], -1)

    def _full(self, grads: Tensor) -> Tensor:
        count = self.layout.cells
        nets = torch.empty_like(grads, memory_format=torch.contiguous_format)
        state = torch.zeros_like(self.squashed[0])
        recurrent = torch.zeros_like(grads[0])
        forget = self.forget if self.layout.forget_gate else torch.ones_like(self.enter)
        for step in range(len(grads) - 1, -1, -1):
            y = grads[step] + recurrent
            cells = y[:, :count].unflatten(-1, state.shape[1:])
            state = state + cells * self.to_state[step]
            gates = [(state * self.squashed[step]).sum(-1)]
            if self.layout.output_gate:
                gates.append((cells * self.shown[step]).sum(-1))
            if self.layout.forget_gate:
                gates.append((state * self.states[step]).sum(-1))
            nets[step, :, :count] = (state * self.to_net[step]).flatten(-2)
            nets[step, :, count:] = (torch.cat(gates, -1) + y[:, count:]) * self.slope_gates[step]
            recurrent = nets[step] @ self.weight
            state = state * forget[step]
        return nets
