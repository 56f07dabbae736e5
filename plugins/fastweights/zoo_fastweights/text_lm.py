"""A language model of characters or bytes: an embedding, a stack of blocks, logits.

The mixers of the blocks are interchangeable and blocks have about the same number of weights
whichever is taken, so that rules can be compared: the delta rule (plain or gated), the sum rule,
softmax attention, an LSTM, the self-referential matrix, the Delta RNN. ``attention_every`` makes a
hybrid, as in today's large models: every n-th layer is softmax attention.

Only softmax attention is told positions (rotary); the others find them by their convolutions or
their recurrence. Text is made by the stream, one symbol at a time, with a memory of constant size.

Sources: see ``layers.mixers``; logits share the embedding (Press, Wolf: Using the Output Embedding,
EACL 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import UsageError, above, at_least, one_of, optim, require, within
from zoo_fastweights.data.text_folder import encode
from zoo_fastweights.layers.backend import Form
from zoo_fastweights.layers.mixers import Mixer
from zoo_fastweights.layers.stack import Stack, kinds_of
from zoo_fastweights.text_pictures import memory_pictures

MIXERS = ("delta", "gated-delta", "sum", "softmax", "lstm", "self-referential", "delta-rnn")


class LanguageModel(nn.Module):
    """Symbols (N, T) to logits (N, T, vocab_size); usable without Lightning.

    Args:
        vocab_size: Number of symbols.
        kinds: The mixer of each block.
        dim: Numbers of a token.
        heads: Memories side by side in each block.
        dropout: In blocks and after the embedding.
        form: For the delta rules; see ``layers.backend``.
    """

    def __init__(
        self,
        vocab_size: int,
        kinds: Sequence[str],
        dim: int = 128,
        heads: int = 4,
        dropout: float = 0.0,
        form: Form = "auto",
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.stack = Stack(kinds, dim, heads, dropout, form)

    def forward(
        self, symbols: Tensor, states: Sequence[Any] | None = None
    ) -> tuple[Tensor, list[Any]]:
        """Logits of the next symbols, and what the next call continues with.

        Args:
            symbols: int64 (N, T).
            states: What earlier symbols left; None begins a text.
        """
        x, after = self.stack(self.dropout(self.embedding(symbols)), states)
        return F.linear(x, self.embedding.weight), after


class TextLM(LightningModule):
    """The language model, its loss and its metrics.

    ``nll`` is the mean negative log-likelihood of a symbol in nats, ``accuracy`` how often the
    likeliest symbol comes.

    Args:
        vocabulary: The characters in the order of their numbers; empty for bytes. Filled in from
            the data.
        vocab_size: Number of symbols. Filled in from the data.
        context: Symbols of a training window. Filled in from the data.
        mixer: ``delta``, ``gated-delta``, ``sum``, ``softmax``, ``lstm``, ``self-referential`` or
            ``delta-rnn``.
        attention_every: Every n-th layer is softmax attention, as in hybrids; 0 for none.
        layers: Number of blocks.
        dim: Numbers of a token, a multiple of ``2 * heads``.
        heads: Memories side by side in each block.
        dropout: In blocks and after the embedding.
        form: For the delta rules: ``auto``, ``chunkwise``, ``recurrent`` or ``fla``.
        lr: Highest learning rate of AdamW.
        weight_decay: Of the weights, not of biases and norms.
        schedule: ``onecycle``, ``cosine``, ``constant``, or the path of another.
        warmup: Part of the training in which ``onecycle`` goes up.

    Raises:
        UsageError: an argument is out of its range.
    """

    head: tuple[str, ...] = ()
    monitor, monitor_mode = "val/nll", "min"
    conformance_arguments: ClassVar[dict[str, Any]] = {"dim": 16, "heads": 2, "layers": 1}
    trainer_defaults: ClassVar[dict[str, Any]] = {"num_sanity_val_steps": 0}
    row_name = "text"
    input_suffixes = (".txt",)
    plot_captions: ClassVar[dict[str, Any]] = {
        "memory": "Norm and effective rank of the fast matrices while a test text is read.",
        "rates": "Learning rates that the layers give the symbols of a test text.",
    }

    def __init__(
        self,
        vocabulary: str,
        vocab_size: int,
        context: int = 128,
        mixer: Mixer = "delta",
        attention_every: int = 0,
        layers: int = 4,
        dim: int = 128,
        heads: int = 4,
        dropout: float = 0.0,
        form: Form = "auto",
        lr: float = 0.003,
        weight_decay: float = 0.1,
        schedule: Literal["onecycle", "cosine", "constant"] | str = "onecycle",
        warmup: float = 0.05,
    ) -> None:
        super().__init__()
        one_of("mixer", mixer, MIXERS)
        for name, value in {
            "layers": layers,
            "dim": dim,
            "heads": heads,
            "context": context,
        }.items():
            at_least(name, value, 1)
        at_least("attention_every", attention_every, 0)
        within("dropout", dropout, 0, 1)
        above("lr", lr, 0)
        require(dim % (2 * heads) == 0, f"dim is {dim}; it has to be a multiple of {2 * heads}")
        optim.require_schedule(schedule)
        self.save_hyperparameters()
        self.vocabulary, self.context = vocabulary, context
        self.net = LanguageModel(
            vocab_size, kinds_of(mixer, layers, attention_every), dim, heads, dropout, form
        )

    @property
    def example_input(self) -> Tensor:
        size = int(self.hparams["vocab_size"])
        return torch.arange(2 * self.context).reshape(2, -1) % size

    def forward(self, symbols: Tensor) -> Tensor:
        """Logits (N, T, vocab_size) of the symbols that follow those of int64 (N, T)."""
        logits: Tensor = self.net(symbols)[0]
        return logits

    def _losses(self, batch: Any) -> tuple[Tensor, Tensor]:
        symbols, following = batch
        logits = self(symbols)
        loss = F.cross_entropy(logits.flatten(0, 1), following.flatten())
        return loss, (logits.argmax(-1) == following).float().mean()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss, _ = self._losses(batch)
        self.log("train/nll", loss, on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "test")

    def on_test_start(self) -> None:
        """Refuse data with other symbols: their numbers would mean something else."""
        data = getattr(self.trainer, "datamodule", None)
        facts = getattr(data, "facts", {})
        if facts.get("vocabulary", self.vocabulary) != self.vocabulary:
            raise UsageError(
                "the text's characters are not those that the model was trained on: give "
                "--data.vocabulary the model's, which `zoo info` shows, or train with "
                "--data.level bytes"
            )

    def _measure(self, batch: Any, stage: str) -> None:
        loss, accuracy = self._losses(batch)
        values = {f"{stage}/nll": loss, f"{stage}/accuracy": accuracy}
        self.log_dict(values, batch_size=len(batch[0]), sync_dist=True)

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
        return optim.with_schedule(
            optimizer, optim.schedule(values["schedule"], total, values["warmup"])
        )

    # The stream

    def symbols_of(self, text: str, where: str = "the text") -> Tensor:
        """A text's numbers, int64 (1, L).

        Raises:
            UsageError: it has characters that the model was not trained on.
        """
        return encode(text, self.vocabulary, where).to(self.device)[None]

    def text_of(self, symbols: Sequence[int]) -> str:
        """The text of numbers; bytes that are not UTF-8 become a replacement character."""
        if self.vocabulary:
            return "".join(self.vocabulary[symbol] for symbol in symbols)
        return bytes(symbols).decode("utf-8", errors="replace")

    def generate(
        self, start: Tensor, length: int, temperature: float, random: torch.Generator
    ) -> Tensor:
        """Continue texts symbol by symbol, with a memory of constant size.

        Args:
            start: Symbols (N, T) to begin with, T from 1.
            length: Symbols to make.
            temperature: 0 takes the likeliest symbol; 1 draws by the model's probabilities.
            random: What is drawn from.

        Returns:
            int64 (N, length).
        """
        logits, states = self.net(start)
        made = []
        for _ in range(length):
            last = logits[:, -1]
            if temperature:
                shares = (last.float() / temperature).softmax(-1).cpu()
                symbol = torch.multinomial(shares, 1, generator=random).to(start.device)
            else:
                symbol = last.argmax(-1, keepdim=True)
            made.append(symbol)
            logits, states = self.net(symbol, states)
        return torch.cat(made, dim=1)

    def produce(
        self,
        folder: Path | None,
        *,
        count: int = 1,
        seed: int = 0,
        start: str | None = None,
        length: int = 300,
        temperature: float = 0.8,
    ) -> list[dict[str, Any]]:
        """Continue a text: `zoo predict REF --start "ROMEO:" --length 500`.

        Args:
            folder: Where each text is written as text-N.txt; None: nowhere.
            count: How many continuations.
            seed: Of what is drawn.
            start: What they begin with; a new line if None, or a blank or the model's first
                character where it does not know that.
            length: Symbols to make.
            temperature: 0 takes the likeliest symbol every time, 1 draws by the probabilities.

        Raises:
            UsageError: ``start`` is empty or has characters that the model does not know.
        """
        at_least("count", count, 1)
        at_least("length", length, 1)
        within("temperature", temperature, 0, math.inf)
        if start is None:
            known = self.vocabulary or "\n"
            start = next((each for each in "\n " if each in known), known[0])
        require(bool(start), "start is empty; it takes at least one character")
        symbols = self.symbols_of(start, "start").expand(count, -1)
        random = torch.Generator().manual_seed(seed)
        texts = [
            start + self.text_of(row)
            for row in self.generate(symbols, length, temperature, random).tolist()
        ]
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for number, text in enumerate(texts, 1):
                (folder / f"text-{number}.txt").write_text(text, encoding="utf-8")
        return [{"text": text} for text in texts]

    # How likely a text is: `zoo predict REF FILES`

    def read_file(self, path: Path) -> Tensor:
        """The symbols of a text, int64 (L,).

        Raises:
            UsageError: it is not UTF-8, has unknown characters, or fewer than two.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not a text in UTF-8: {error}") from error
        symbols = encode(text, self.vocabulary, str(path))
        if len(symbols) < 2:
            raise UsageError(f"{path} has fewer than two characters, of which nothing is predicted")
        return symbols

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Surprise at each symbol but the first, in nats: (N, L - 1) of texts (N, L).

        The text is read as a stream of windows with the memory carried on: with softmax layers,
        memory grows with the text.
        """
        states, parts = None, []
        for begin in range(0, batch.shape[1] - 1, self.context):
            window = batch[:, begin : min(begin + self.context, batch.shape[1] - 1)]
            following = batch[:, begin + 1 : begin + 1 + window.shape[1]]
            logits, states = self.net(window, states)
            parts.append(F.cross_entropy(logits.mT, following, reduction="none"))
        return torch.cat(parts, dim=1)

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """A row of the table: nats a symbol, and symbols."""
        return {"nll": round(float(output.mean()), 4), "symbols": len(output) + 1}

    def write_example_files(self, folder: Path) -> Sequence[Path]:
        """Two short texts, for the kit."""
        paths = [folder / "one.txt", folder / "two.txt"]
        for path, stride in zip(paths, (1, 2), strict=True):
            symbols = [stride * place % self.hparams["vocab_size"] for place in range(40)]
            text = self.text_of(
                [symbol % 128 for symbol in symbols] if not self.vocabulary else symbols
            )
            path.write_text(text, encoding="utf-8", newline="")
        return paths

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Norm and effective rank of the fast matrices, and rates, while a test text is read."""
        return memory_pictures(self.net, batch[0][:1])
