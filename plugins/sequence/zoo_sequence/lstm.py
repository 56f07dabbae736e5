"""The LSTM of today on the tests of 1997: forget gates, chrono initialization, minimal peers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from zoo.plugin import at_least, one_of, require
from zoo_sequence.encoders import KINDS, gate_biases, recurrent_layer
from zoo_sequence.learner import BETA2, SequenceLearner


class RecurrentNet(nn.Module):
    """A recurrent layer and logistic outputs; usable without Lightning.

    Of an ``lstm`` the biases of ``bias_hh`` are 0, those of ``bias_ih`` the sum of both. Weights
    are uniform from minus to plus 1/sqrt(hidden), as torch has them.

    Args:
        features: Numbers of a step.
        outputs: Output units.
        hidden: Units.
        kind: ``lstm``, ``gru``, ``rnn`` or ``minlstm``.
        forget_bias: Initial bias of the forget gates of an ``lstm``.
        input_bias: Initial bias of its input gates.
        chrono: Longest lag: forget gates begin at the logarithm of a uniform number from 1 to this
            minus 1, input gates at the negative of it; 0 takes the two biases.
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        hidden: int = 4,
        kind: Literal["lstm", "gru", "rnn", "minlstm"] = "lstm",
        forget_bias: float = 1.0,
        input_bias: float = 0.0,
        chrono: int = 0,
    ) -> None:
        super().__init__()
        self.layer = recurrent_layer(kind, features, hidden)
        self.output = nn.Linear(hidden, outputs)
        if isinstance(self.layer, nn.LSTM):
            entering, forget = slice(0, hidden), slice(hidden, 2 * hidden)
            with torch.no_grad():
                bias, other = gate_biases(self.layer)
                other.zero_()
                drawn = torch.empty(hidden).uniform_(1, max(chrono - 1, 1)).log()
                bias[forget] = drawn if chrono else forget_bias
                bias[entering] = -drawn if chrono else input_bias

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, T, features) to (N, T, outputs) from 0 to 1."""
        outputs: Tensor = self.output(self.layer(inputs.to(self.output.weight.dtype))[0]).sigmoid()
        return outputs


class LSTMLearner(SequenceLearner):
    """``nn.LSTM``, or a GRU, an RNN or the minimal LSTM, on the tests of 1997.

    Source: Gers, Schmidhuber, Cummins: Learning to Forget, Neural Computation 12(10), 2000;
    Tallec, Ollivier: Can recurrent neural networks warp time?, ICLR 2018 (arXiv:1804.11188).

    Args:
        features: Numbers of a step. Filled in from the data.
        outputs: Output units. Filled in from the data.
        tolerance: The largest error of a right sequence. Filled in from the data.
        hidden: Units.
        cell: ``lstm``, ``gru``, ``rnn`` or ``minlstm``.
        forget_bias: Initial bias of the forget gates: with it about the logarithm of the lag, an
            LSTM bridges it from the beginning.
        input_bias: Initial bias of the input gates.
        chrono: Longest lag for the chrono initialization in their place; 0: none.
        lr: Learning rate.
        optimizer: ``adamw`` (Adam while ``weight_decay`` is 0), ``sgd``, ``nesterov`` or a path.
        momentum: Of ``sgd`` and ``nesterov``.
        schedule: Of the learning rate by sequences: ``constant``, ``cosine``, or another.
        beta2: How much of the mean square of each gradient ``adamw`` keeps at a step.
        weight_decay: Of the weights; biases have none.

    Raises:
        UsageError: an argument is out of its range.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {"hidden": 4, "lr": 0.05}

    def __init__(
        self,
        features: int,
        outputs: int,
        tolerance: float = 0.04,
        hidden: int = 4,
        cell: Literal["lstm", "gru", "rnn", "minlstm"] = "lstm",
        forget_bias: float = 1.0,
        input_bias: float = 0.0,
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
        at_least("hidden", hidden, 1)
        at_least("chrono", chrono, 0)
        one_of("cell", cell, KINDS)
        require(chrono == 0 or chrono > 2, f"chrono is {chrono}: a lag has to be above 2, or 0")
        self.network = RecurrentNet(
            features, outputs, hidden, cell, forget_bias, input_bias, chrono
        )
