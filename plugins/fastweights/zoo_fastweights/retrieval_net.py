"""One associative memory that is written once and asked: how many keys does it hold?

    K = W_k [v; k] + b     Q = W_q k + b     beta = sigmoid(w_b [v; k] + b)     V: one-hot values

and the memory of ``rule`` over features of K is asked with features of Q. Keys are learned vectors
of int(1.1 * 2 * keys) numbers, K and Q have 64. The loss of a question is half the squared distance
of answer and one-hot value: exactly 1/2 for a net that answers nothing.

Source: Schlag, Irie, Schmidhuber: Linear Transformers Are Secretly Fast Weight Programmers, ICML
2021, section 6.1. As in its code, keys of the delta rule and queries are normalized to sum 1, and
softmax attention divides by sqrt(64) and begins with other weights (Xavier).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import at_least, one_of, require
from zoo_fastweights.layers.delta_rule import pseudo_values
from zoo_fastweights.layers.feature_maps import (
    EPSILON,
    RandomFeatures,
    dpfp,
    elu1,
    sum_normalize,
)
from zoo_fastweights.plots import overlap_picture, question_picture

Rule = Literal["sum", "delta", "softmax"]
FEATURES = ("elu1", "dpfp", "random")
SOLVED = 0.001
"""The loss at which the authors call a problem solved."""


class RetrievalMemory(nn.Module):
    """Keys, values and questions to answers; usable without Lightning.

    Args:
        keys: Number of keys and of values S.
        rule: How the memory is written: ``sum``, ``delta``, or ``softmax`` for attention.
        features: Of keys and queries: ``elu1``, ``dpfp`` or ``random``.
        nu: Rolled products of ``dpfp``.
        random_features: Directions of ``random``.
        redraw: New random directions in every call, as the authors' code has it.
        dim: Numbers of K and Q.
    """

    def __init__(
        self,
        keys: int,
        rule: Rule = "sum",
        features: str = "elu1",
        nu: int = 1,
        random_features: int = 64,
        redraw: bool = False,
        dim: int = 64,
    ) -> None:
        super().__init__()
        size = int(1.1 * 2 * keys)
        self.keys, self.rule, self.features, self.nu, self.dim = keys, rule, features, nu, dim
        self.embedding = nn.Embedding(keys, size)
        self.to_key = nn.Linear(keys + size, dim)
        self.to_query = nn.Linear(size, dim)
        if rule == "delta":
            self.to_rate = nn.Linear(keys + size, 1)
        self.random = RandomFeatures(dim, random_features, redraw) if features == "random" else None
        for layer in (self.to_key, self.to_query):
            if rule == "softmax":
                nn.init.xavier_uniform_(layer.weight)
            else:
                nn.init.uniform_(layer.weight, -(dim**-0.5), dim**-0.5)

    def _of_pairs(self, layer: nn.Linear, names: Tensor, values: Tensor) -> Tensor:
        """``layer([one-hot value; key])``, as a sum of two looked-up vectors."""
        of_values, of_keys = layer.weight.split([self.keys, self.embedding.embedding_dim], dim=1)
        by_key = F.linear(self.embedding.weight, of_keys, layer.bias)
        return F.embedding(names, by_key) + F.embedding(values, of_values.mT)

    def _mapped(self, x: Tensor) -> Tensor:
        if self.random is not None:
            mapped: Tensor = self.random(x)
            return mapped
        return elu1(x) if self.features == "elu1" else dpfp(x, self.nu)

    def forward(self, names: Tensor, values: Tensor, questions: Tensor) -> Tensor:
        """Answers (N, Q, S) to questions (N, Q) about keys (N, T) and values (N, T), int64."""
        weights, stored = self.recall(names, values, questions)
        return weights @ stored

    def recall(self, names: Tensor, values: Tensor, questions: Tensor) -> tuple[Tensor, Tensor]:
        """How strongly each question recalls each step (N, Q, T), and what steps hold (N, T, S)."""
        k = self._of_pairs(self.to_key, names, values)
        q = F.embedding(questions, self.to_query(self.embedding.weight))
        v = F.one_hot(values, self.keys).to(k.dtype)
        if self.rule == "softmax":
            return (q @ k.mT / self.dim**0.5).softmax(-1), v
        if self.random is not None and self.random.redraw:
            self.random.new_directions()
        k, q = self._mapped(k), self._mapped(q)
        if self.rule == "sum":
            scores = q @ k.mT
            return scores / (scores.sum(-1, keepdim=True) + EPSILON), v
        k, q = k / k.sum(-1, keepdim=True).clamp(min=EPSILON), sum_normalize(q)
        beta = self._of_pairs(self.to_rate, names, values).squeeze(-1).sigmoid()
        return q @ k.mT, pseudo_values(k, v, beta)

    def key_features(self, names: Tensor, values: Tensor) -> Tensor:
        """Features (N, T, p) under which pairs are stored."""
        return self._mapped(self._of_pairs(self.to_key, names, values))


class RetrievalNet(LightningModule):
    """The memory, its loss and its metrics.

    ``test/loss`` is half the squared distance of answers and one-hot values, ``test/steps`` the
    training steps behind the tested weights.

    Args:
        keys: Number of keys and of values. Filled in from the data.
        rule: How the memory is written: ``sum``, ``delta``, or ``softmax`` for attention.
        features: Of keys and queries: ``elu1``, ``dpfp`` or ``random``; softmax needs none.
        nu: Rolled products of ``dpfp``.
        random_features: Directions of ``random``.
        redraw: New random directions in every call, as the authors' code has it, instead of once.
        lr: Learning rate of Adam.

    Raises:
        UsageError: an argument is out of its range.
    """

    head: tuple[str, ...] = ()
    trainer_defaults: ClassVar[dict[str, Any]] = {"num_sanity_val_steps": 0}
    plot_captions: ClassVar[dict[str, Any]] = {
        "questions": "Answers to the questions about a test sequence: right ones on the diagonal.",
        "overlap": "Overlap of the features under which the keys of a sequence are stored.",
    }

    steps: Tensor

    def __init__(
        self,
        keys: int,
        rule: Rule = "sum",
        features: str = "elu1",
        nu: int = 1,
        random_features: int = 64,
        redraw: bool = False,
        lr: float = 0.001,
    ) -> None:
        super().__init__()
        one_of("rule", rule, ("sum", "delta", "softmax"))
        one_of("features", features, FEATURES)
        at_least("keys", keys, 2)
        require(1 <= nu < 128, f"nu is {nu}; it takes 1 to 127, as keys have 64 numbers")
        at_least("random_features", random_features, 1)
        self.save_hyperparameters()
        self.keys, self.lr = keys, lr
        self.memory = RetrievalMemory(keys, rule, features, nu, random_features, redraw)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    @property
    def example_input(self) -> Tensor:
        """Keys and values of two sequences, and a question each: (2, 3, T), of which the last
        row's first entry is asked."""
        order = torch.arange(2 * self.keys).reshape(2, self.keys) % self.keys
        return torch.stack([order, order.flip(1), order], dim=1)

    def forward(self, rows: Tensor) -> Tensor:
        """Answers (N, T, keys) to the questions in the third row of int64 (N, 3, T); its first two
        rows are keys and values."""
        answers: Tensor = self.memory(*rows.unbind(1))
        return answers

    def losses(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Loss of every question, and whether its largest answer is the right one."""
        losses, right = self._of_places(batch)
        asked = batch[2] >= 0
        return losses[asked], right[asked]

    def _of_places(self, batch: Any) -> tuple[Tensor, Tensor]:
        """The same of every place (N, Q), asked or not."""
        names, values, questions, answers = batch
        found = self.memory(names, values, questions.clamp(min=0))
        truth = F.one_hot(answers.clamp(min=0), self.keys)
        losses = 0.5 * (truth - found).square().sum(-1)
        return losses, found.argmax(-1) == answers

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        losses, _ = self._of_places(batch)
        asked = batch[2] >= 0
        if losses.device.type == "cpu":
            loss = losses[asked].mean()
        else:  # to learn how many are asked the host would wait
            loss = (losses * asked).sum() / asked.sum()
        self.steps += 1
        self.log("train/loss", loss, on_step=True, on_epoch=False, batch_size=len(losses))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "test")
        self.log("test/steps", self.steps.float(), sync_dist=True)

    def _measure(self, batch: Any, stage: str) -> None:
        losses, right = self.losses(batch)
        values = {f"{stage}/loss": losses.mean(), f"{stage}/accuracy": right.float().mean()}
        self.log_dict(values, batch_size=len(losses), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Answers to the questions about a sequence of test data, and the overlap of its keys."""
        names, values, questions, answers = (part[:1] for part in batch)
        asked = questions[0] >= 0
        found = self.memory(names, values, questions.clamp(min=0))[0][asked]
        drawn = {"questions": question_picture(found.cpu(), answers[0][asked].cpu())}
        if self.memory.rule != "softmax":
            drawn["overlap"] = overlap_picture(self.memory.key_features(names, values)[0].cpu())
        return drawn
