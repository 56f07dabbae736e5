"""A small language model on multi-query associative recall, with interchangeable mixers.

Every mixer has short convolutions on queries, keys and values, with which a key meets its value in
one layer. A memory of d x d numbers a head holds about d pairs by the delta rule, and fewer by
sums, whose keys interfere; softmax attention keeps every token.

Source: Arora and others: Zoology, ICLR 2024, section 4.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import above, at_least, one_of, optim, require
from zoo_fastweights.data.mqar import NOTHING
from zoo_fastweights.layers.stack import Stack
from zoo_fastweights.plots import line_picture

MIXERS = ("delta", "gated-delta", "sum", "softmax", "lstm")
CONV = 4


class RecallNet(nn.Module):
    """Symbols (N, T) to logits (N, T, vocab_size); usable without Lightning.

    Args:
        vocab_size: Number of symbols.
        mixer: Of every block.
        layers: Number of blocks.
        dim: Numbers of a token.
        heads: Memories side by side.
    """

    def __init__(self, vocab_size: int, mixer: str, layers: int, dim: int, heads: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim)
        self.stack = Stack([mixer] * layers, dim, heads, attention_conv=CONV)
        self.output = nn.Linear(dim, vocab_size, bias=False)

    def forward(self, symbols: Tensor, asked: Tensor | None = None) -> Tensor:
        """Logits of all places, or (M, vocab_size) of those that are ``asked``, a mask (N, T)."""
        x, _ = self.stack(self.embedding(symbols))
        logits: Tensor = self.output(x if asked is None else x[asked])
        return logits


class MQARNet(LightningModule):
    """The model, its loss and its metrics, over the places where something is asked.

    Args:
        vocab_size: Number of symbols. Filled in from the data.
        length: Symbols of a sequence. Filled in from the data.
        mixer: ``delta``, ``gated-delta``, ``sum``, ``softmax`` or ``lstm``.
        layers: Number of blocks.
        dim: Numbers of a token, a multiple of ``2 * heads``.
        heads: Memories side by side in each block.
        lr: Highest learning rate of AdamW.
        weight_decay: Of the weights, not of biases and norms.
        schedule: ``onecycle``, ``cosine``, ``constant``, or the path of another.

    Raises:
        UsageError: an argument is out of its range.
    """

    head: tuple[str, ...] = ()
    monitor, monitor_mode = "val/accuracy", "max"
    conformance_arguments: ClassVar[dict[str, Any]] = {"dim": 16, "heads": 2, "layers": 1}
    trainer_defaults: ClassVar[dict[str, Any]] = {"num_sanity_val_steps": 0}
    plot_captions: ClassVar[dict[str, Any]] = {
        "recall": "Accuracy of the questions by their place, in a batch of test data."
    }

    def __init__(
        self,
        vocab_size: int,
        length: int = 64,
        mixer: Literal["delta", "gated-delta", "sum", "softmax", "lstm"] = "delta",
        layers: int = 2,
        dim: int = 64,
        heads: int = 2,
        lr: float = 0.003,
        weight_decay: float = 0.1,
        schedule: Literal["onecycle", "cosine", "constant"] | str = "cosine",
    ) -> None:
        super().__init__()
        one_of("mixer", mixer, MIXERS)
        at_least("layers", layers, 1)
        at_least("heads", heads, 1)
        above("lr", lr, 0)
        require(dim % (2 * heads) == 0, f"dim is {dim}; it has to be a multiple of {2 * heads}")
        optim.require_schedule(schedule)
        self.save_hyperparameters()
        self.net = RecallNet(vocab_size, mixer, layers, dim, heads)

    @property
    def example_input(self) -> Tensor:
        size, length = self.hparams["vocab_size"], self.hparams["length"]
        symbols: Tensor = torch.arange(2 * length).reshape(2, -1) % size
        return symbols

    def forward(self, symbols: Tensor) -> Tensor:
        """Logits (N, T, vocab_size) of what each of the symbols (N, T) asks for."""
        logits: Tensor = self.net(symbols)
        return logits

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        symbols, targets = batch
        if symbols.device.type == "cpu":
            asked = targets != NOTHING
            loss = F.cross_entropy(self.net(symbols, asked), targets[asked])
        else:  # all places: to learn how many are asked the host would wait
            logits = self.net(symbols).flatten(0, 1)
            loss = F.cross_entropy(logits, targets.flatten(), ignore_index=NOTHING)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(symbols))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "test")

    def _measure(self, batch: Any, stage: str) -> None:
        symbols, targets = batch
        asked = targets != NOTHING
        logits, truth = self.net(symbols, asked), targets[asked]
        right = (logits.argmax(-1) == truth).float().mean()
        values = {f"{stage}/loss": F.cross_entropy(logits, truth), f"{stage}/accuracy": right}
        self.log_dict(values, batch_size=len(truth), sync_dist=True)

    def configure_optimizers(self) -> Any:
        values = self.hparams
        optimizer = optim.optimizer(
            "adamw",
            self.named_parameters(),
            values["lr"],
            weight_decay=values["weight_decay"],
            fused=optim.may_fuse(self),
        )
        total = optim.total_steps(self.trainer)
        return optim.with_schedule(optimizer, optim.schedule(values["schedule"], total))

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """How often questions are answered right, by their place."""
        symbols, targets = batch
        asked = targets != NOTHING
        right = (self(symbols).argmax(-1) == targets) & asked
        shares = right.sum(0) / asked.sum(0)  # not a number where nothing is asked
        return {"recall": line_picture({"accuracy": shares.cpu()}, "place", "share right")}
