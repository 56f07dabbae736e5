"""Long short-term memory as of 1997: blocks of cells whose gates see gates, no forget gate.

    in_j = s(net_in_j),  out_j = s(net_out_j)
    s_c(t) = s_c(t-1) + in_j g(net_c),   y_c(t) = out_j h(s_c(t))
    net(t) = W x(t) + R y(t-1) + b       y: all cells' outputs and all gates' activations
    y_k(t) = s(V y_c(t))                 k: outputs

The equations as a loop are ``zoo_sequence.lstm97_recurrence.reference``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from zoo.plugin import UsageError, at_least, one_of, require
from zoo_sequence.learner import BETA2, SequenceLearner
from zoo_sequence.lstm97_recurrence import Layout, State
from zoo_sequence.lstm97_recurrence import recurrence as run_recurrence

Biases = Literal["all", "hidden", "gates", "gates-and-outputs", "none"]
Recurrence = Literal["all", "cells", "none"]


class LSTM97Net(nn.Module):
    """Memory cell blocks and logistic outputs that see the cells; usable without Lightning.

    Args:
        features: Numbers of a step.
        outputs: Output units.
        layout: Of the hidden layer.
        init_range: Weights are uniform from minus to plus this.
        biases: Which units have one: ``all``, ``hidden`` (not the outputs), ``gates``,
            ``gates-and-outputs`` (not the cells), ``none``.
        recurrence: What cells and gates see of the step before: ``all`` units, ``cells``, ``none``.
        shortcuts: Whether the outputs see the inputs too.
    """

    mask: Tensor
    seen: Tensor

    def __init__(
        self,
        features: int,
        outputs: int,
        layout: Layout,
        init_range: float = 0.1,
        biases: Biases = "all",
        recurrence: Recurrence = "all",
        shortcuts: bool = False,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.input = nn.Parameter(torch.empty(layout.units, features))
        self.recurrent = nn.Parameter(torch.empty(layout.units, layout.units))
        self.bias = nn.Parameter(torch.empty(layout.units))
        self.output = nn.Linear(layout.cells, outputs, bias=biases in ("all", "gates-and-outputs"))
        self.shortcut = nn.Parameter(torch.empty(outputs, features)) if shortcuts else None
        mask = torch.full((layout.units,), float(biases != "none"))
        if biases in ("gates", "gates-and-outputs"):
            mask[: layout.cells] = 0
        self.register_buffer("mask", mask, persistent=False)
        seen = torch.full((layout.units,), float(recurrence == "all"))
        if recurrence == "cells":
            seen[: layout.cells] = 1
        self.register_buffer("seen", seen, persistent=False)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_range, init_range)
        with torch.no_grad():
            self.bias.mul_(self.mask)
            self.recurrent.mul_(self.seen)

    @property
    def weights(self) -> int:
        """Weights and biases that are learnt, as the paper counts them."""
        recurrent = self.layout.units * int(self.seen.sum())
        hidden = self.input.numel() + recurrent + int(self.mask.sum())
        shortcut = 0 if self.shortcut is None else self.shortcut.numel()
        return hidden + shortcut + sum(each.numel() for each in self.output.parameters())

    def start(self, count: int) -> State:
        """The state before a sequence: zeros, for so many sequences."""
        zeros = self.input.new_zeros
        return zeros(count, self.layout.units), zeros(count, self.layout.cells)

    def run(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs (N, T, outputs) from 0 to 1 and the state after the last step."""
        with torch.autocast(inputs.device.type, enabled=False):
            nets = inputs.to(self.input.dtype) @ self.input.T + self.bias * self.mask
            weight = self.recurrent * self.seen
            units, state = run_recurrence(nets, weight, state, self.layout)
            outputs: Tensor = self.output(units[..., : self.layout.cells])
            if self.shortcut is not None:
                outputs = outputs + inputs.to(self.input.dtype) @ self.shortcut.T
        return outputs.sigmoid(), state

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (N, T, outputs) of sequences (N, T, features), each begun with zeros."""
        return self.run(inputs, self.start(len(inputs)))[0]

    @torch.no_grad()
    def set_gate_biases(
        self, entering: list[float] | None, leaving: list[float] | None, chrono: int = 0
    ) -> None:
        """Initial biases of the gates, block by block.

        Args:
            entering: Of the input gates; as drawn if None.
            leaving: Of the output gates; as drawn if None.
            chrono: Forget gates get the logarithm of a uniform number from 1 to this minus 1, input
                gates the negative of it; 0: forget gates get 1.
        """
        layout = self.layout
        if layout.forget_gate:
            forget = torch.ones(layout.blocks)
            if chrono:
                forget = torch.empty(layout.blocks).uniform_(1, chrono - 1).log()
                self.bias[layout.input_gates] = -forget
            self.bias[layout.forget_gates] = forget
        for part, values in ((layout.input_gates, entering), (layout.output_gates, leaving)):
            if values:
                self.bias[part] = torch.tensor(values, dtype=self.bias.dtype)


class LSTM97(SequenceLearner):
    """Long short-term memory of 1997 on the tests of 1997.

    Source: Hochreiter, Schmidhuber: Long Short-Term Memory, Neural Computation 9(8), 1997; forget
    gates: Gers, Schmidhuber, Cummins: Learning to Forget, Neural Computation 12(10), 2000; chrono
    initialization: Tallec, Ollivier: Can recurrent neural networks warp time?, ICLR 2018
    (arXiv:1804.11188).

    Args:
        features: Numbers of a step. Filled in from the data.
        outputs: Output units. Filled in from the data.
        tolerance: The largest error of a right sequence. Filled in from the data.
        blocks: Memory cell blocks.
        size: Cells of a block.
        output_gate: Whether blocks have output gates.
        forget_gate: Whether blocks have forget gates.
        squashing: ``1997``: g from -2 to 2, h from -1 to 1; ``tanh``: both tanh; ``linear``: g
            logistic, h the identity (tasks 2a and 2b).
        gradients: ``truncated``, as in 1997: errors that leave a block or gate by its incoming
            recurrent connections end there; ``full``: by all paths.
        biases: Units that have one: ``all``, ``hidden``, ``gates``, ``gates-and-outputs`` or
            ``none`` (table 10 of 1997, column 12).
        recurrence: What cells and gates see of the step before: ``all`` cells and gates (table 10,
            F), ``cells`` (section 3.1 of 2000) or ``none`` (table 10, B).
        shortcuts: Whether the outputs see the inputs beside the cells (table 10, B; 2000).
        init_range: Weights are uniform from minus to plus this.
        input_gate_bias: Initial biases of the input gates, one a block.
        output_gate_bias: Initial biases of the output gates, one a block.
        chrono: Longest lag for the chrono initialization of forget and input gates; 0: forget
            gates begin at 1.
        lr: Learning rate.
        optimizer: ``adamw`` (Adam while ``weight_decay`` is 0), ``sgd``, ``nesterov`` or a path.
        momentum: Of ``sgd`` and ``nesterov``.
        schedule: Of the learning rate by sequences: ``constant``, ``cosine``, or another.
        beta2: How much of the mean square of each gradient ``adamw`` keeps at a step.
        weight_decay: Of the weights; biases have none. It frees cells whose states have run into
            the flat ends of h.

    Raises:
        UsageError: an argument is out of its range.
    """

    not_exportable = "no format has an operator for gates that see gates; take the model `lstm`"
    conformance_arguments: ClassVar[dict[str, Any]] = {"blocks": 2, "size": 2, "lr": 0.05}
    conformance_exempt: ClassVar[dict[str, str]] = {
        "overfits-one-batch": "it begins on a plateau that takes more than 150 steps to leave",
    }
    network: LSTM97Net

    def __init__(
        self,
        features: int,
        outputs: int,
        tolerance: float = 0.04,
        blocks: int = 2,
        size: int = 2,
        output_gate: bool = True,
        forget_gate: bool = False,
        squashing: Literal["1997", "tanh", "linear"] = "1997",
        gradients: Literal["truncated", "full"] = "truncated",
        biases: Biases = "all",
        recurrence: Recurrence = "all",
        shortcuts: bool = False,
        init_range: float = 0.1,
        input_gate_bias: list[float] | None = None,
        output_gate_bias: list[float] | None = None,
        chrono: int = 0,
        lr: float = 0.01,
        optimizer: Literal["adamw", "sgd", "nesterov"] | str = "adamw",
        momentum: float = 0.0,
        schedule: Literal["constant", "onecycle", "cosine"] | str = "constant",
        beta2: float = BETA2,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            features, outputs, tolerance, lr, optimizer, momentum, schedule, beta2, weight_decay
        )
        self.save_hyperparameters()
        at_least("blocks", blocks, 1)
        at_least("size", size, 1)
        at_least("chrono", chrono, 0)
        one_of("squashing", squashing, ("1997", "tanh", "linear"))
        one_of("gradients", gradients, ("truncated", "full"))
        one_of("biases", biases, get_args(Biases))
        one_of("recurrence", recurrence, get_args(Recurrence))
        require(chrono == 0 or chrono > 2, f"chrono is {chrono}: a lag has to be above 2, or 0")
        require(
            not chrono or forget_gate, "chrono is for nets with forget gates: set forget_gate true"
        )
        _one_a_block("input_gate_bias", input_gate_bias, blocks)
        _one_a_block("output_gate_bias", output_gate_bias, blocks)
        layout = Layout(blocks, size, output_gate, forget_gate, squashing, gradients == "truncated")
        self.network = LSTM97Net(
            features, outputs, layout, init_range, biases, recurrence, shortcuts
        )
        self.network.set_gate_biases(input_gate_bias, output_gate_bias, chrono)
        self._states: dict[str, State] = {}

    def respond(self, batch: dict[str, Tensor], stage: str) -> Tensor:
        """Outputs; in streams the states are those after the chunk before."""
        if "begins" not in batch:
            outputs: Tensor = self(batch["inputs"])
            return outputs
        state = self._states.get(stage)
        if bool(batch["begins"]) or state is None or len(state[0]) != len(batch["inputs"]):
            state = self.network.start(len(batch["inputs"]))
        outputs, self._states[stage] = self.network.run(batch["inputs"], state)
        return outputs

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """States of training streams, for a run that is cut in one."""
        checkpoint["stream_states"] = list(self._states.get("train", ()))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on in the streams."""
        if states := checkpoint.get("stream_states"):
            self._states["train"] = (states[0].to(self.device), states[1].to(self.device))


def _one_a_block(name: str, values: list[float] | None, blocks: int) -> None:
    if values and len(values) != blocks:
        raise UsageError(f"{name} has {len(values)} numbers, and there are {blocks} blocks")
