"""Learning new classes from a few images, without changing a slow weight.

Images become vectors by a small convolutional net. The images of a support set come one after the
other, each with its label; a query comes last, with no label. What the net has learned of the
classes is in its fast weights: learning to learn is all that training does.

    token = image + label's vector (none for a query)     logits = head(stack(tokens)[last])

Labels are dealt anew in every task. Training, validation and test have different classes.

What learning to learn waits for is that a query reads what a like image has written, and four
things let it begin there, without which 750 steps stayed at chance: vectors of images without their
common part (a batch norm at the end of the encoder), labels as large as images, no short
convolutions (the order of a support set means nothing), and mixers that begin alike
(``begin_alike``).

Sources: Irie, Schlag, Csordas, Schmidhuber: A Modern Self-Referential Weight Matrix That Learns to
Modify Itself, ICML 2022, section 4.2; the order of tasks as in Santoro and others, ICML 2016;
learning to learn by recurrent nets: Hochreiter, Younger, Conwell: Learning to Learn Using Gradient
Descent, ICANN 2001. The convolutional net is that of Vinyals and others: Matching Networks, NIPS
2016, narrower.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import UsageError, above, at_least, one_of, optim, plots, require
from zoo_fastweights.data.class_folder import class_files
from zoo_fastweights.data.drawings import SUFFIXES, Ink, read_drawing
from zoo_fastweights.layers.mixers import FastWeightLayer, SoftmaxAttention
from zoo_fastweights.layers.self_referential import SelfReferentialMatrix
from zoo_fastweights.layers.stack import Stack

MIXERS = ("self-referential", "delta", "gated-delta", "sum", "softmax", "lstm")
SUPPORT = "support"
"""Folder beside the drawings to be told, with one folder a class."""


def image_encoder(channels: int, size: int, dim: int) -> nn.Sequential:
    """Four convolutions with batch norm, pooling and ReLU, and a linear layer whose outputs have
    mean 0 and variance 1: float (N, 1, size, size) to (N, dim)."""
    layers: list[nn.Module] = []
    for inputs in (1, channels, channels, channels):
        layers += [
            nn.Conv2d(inputs, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.ReLU(),
        ]
        size = (size + 1) // 2
    layers += [nn.Flatten(), nn.Linear(channels * size**2, dim), nn.BatchNorm1d(dim, affine=False)]
    return nn.Sequential(*layers)


class FewShotNet(nn.Module):
    """Support sets and queries to logits; usable without Lightning.

    Args:
        mixer: Of every block.
        ways: Classes of a task.
        size: Pixels a side.
        channels: Of each convolution.
        layers: Number of blocks.
        dim: Numbers of a token.
        heads: Memories side by side.
    """

    def __init__(
        self,
        mixer: str,
        ways: int,
        size: int = 28,
        channels: int = 32,
        layers: int = 2,
        dim: int = 64,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.ways = ways
        self.encoder = image_encoder(channels, size, dim)
        self.label = nn.Embedding(ways, dim)
        self.stack = Stack([mixer] * layers, dim, heads, conv=0)
        for each in self.stack.mixers():
            if isinstance(each, FastWeightLayer | SoftmaxAttention | SelfReferentialMatrix):
                each.begin_alike()
        self.output = nn.Linear(dim, ways)

    def encode(self, images: Tensor) -> Tensor:
        """Vectors (N, S, dim) of uint8 images (N, S, H, W)."""
        pixels = images.flatten(0, 1).unsqueeze(1).float() / 255
        vectors: Tensor = self.encoder(pixels)
        return vectors.reshape(images.shape[0], images.shape[1], -1)

    def forward(self, support: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        """Logits (N, Q, ways) of queries; each is asked by itself after the whole support set.

        Args:
            support: uint8 (N, S, H, W).
            labels: int64 (N, S).
            queries: uint8 (N, Q, H, W).
        """
        number, count = queries.shape[:2]
        vectors = self.encode(torch.cat([support, queries], dim=1))
        shown, asked = vectors.split([support.shape[1], count], dim=1)
        _, learned = self.stack(shown + self.label(labels))
        after, _ = self.stack(
            asked.reshape(number * count, 1, -1), [repeated(state, count) for state in learned]
        )
        logits: Tensor = self.output(after[:, 0])
        return logits.reshape(number, count, self.ways)


def repeated(state: Any, times: int) -> Any:
    """What a support set leaves, for each of several queries: tensors (N, ...) to
    (N * times, ...)."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.repeat_interleave(times, dim=0)
    return tuple(repeated(part, times) for part in state)


def nearest_neighbor(support: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """Labels (N, Q) of the support images whose pixels are nearest by cosine; see
    ``FewShotNet``."""
    vectors = [F.normalize(images.flatten(2).float(), dim=-1) for images in (queries, support)]
    nearest = (vectors[0] @ vectors[1].mT).argmax(-1)
    return labels.gather(1, nearest)


class FewShot(LightningModule):
    """The net, its loss and its metrics.

    ``test/accuracy`` is the share of queries told right, ``test/nearest_accuracy`` that of the
    nearest neighbor in pixels on the same tasks.

    Args:
        ways: Classes of a task. Filled in from the data.
        shots: Images of each that are learned from. Filled in from the data.
        size: Pixels a side. Filled in from the data.
        mixer: ``self-referential``, ``delta``, ``gated-delta``, ``sum``, ``softmax`` or ``lstm``.
        channels: Of each convolution.
        layers: Number of blocks.
        dim: Numbers of a token, a multiple of ``2 * heads``.
        heads: Memories side by side in each block.
        ink: Of drawings to be predicted: ``dark`` strokes on a bright ground, or ``bright`` ones.
        lr: Highest learning rate of AdamW.
        weight_decay: Of the weights, not of biases and norms.
        schedule: ``onecycle``, ``cosine``, ``constant``, or the path of another.

    Raises:
        UsageError: an argument is out of its range.
    """

    head: tuple[str, ...] = ()
    monitor, monitor_mode = "val/accuracy", "max"
    conformance_arguments: ClassVar[dict[str, Any]] = {
        "channels": 8,
        "dim": 16,
        "heads": 2,
        "layers": 1,
    }
    trainer_defaults: ClassVar[dict[str, Any]] = {"num_sanity_val_steps": 0}
    input_suffixes = SUFFIXES
    plot_captions: ClassVar[dict[str, Any]] = {
        "tasks": "Tasks of the test: the support set and, at the end, a query."
    }

    def __init__(
        self,
        ways: int = 5,
        shots: int = 1,
        size: int = 28,
        mixer: Literal[
            "self-referential", "delta", "gated-delta", "sum", "softmax", "lstm"
        ] = "self-referential",
        channels: int = 32,
        layers: int = 2,
        dim: int = 64,
        heads: int = 4,
        ink: Ink = "dark",
        lr: float = 0.002,
        weight_decay: float = 0.01,
        schedule: Literal["onecycle", "cosine", "constant"] | str = "onecycle",
    ) -> None:
        super().__init__()
        one_of("mixer", mixer, MIXERS)
        one_of("ink", ink, ("dark", "bright"))
        at_least("ways", ways, 2)
        for name, value in {
            "shots": shots,
            "channels": channels,
            "layers": layers,
            "heads": heads,
        }.items():
            at_least(name, value, 1)
        above("lr", lr, 0)
        require(size >= 8, f"size is {size}; it takes 8 or more")
        require(dim % (2 * heads) == 0, f"dim is {dim}; it has to be a multiple of {2 * heads}")
        optim.require_schedule(schedule)
        self.save_hyperparameters()
        self.ways, self.shots, self.size = ways, shots, size
        self.ink: Ink = ink
        self.net = FewShotNet(mixer, ways, size, channels, layers, dim, heads)

    @property
    def example_input(self) -> Tensor:
        size = (2, self.ways * self.shots + 1, self.size, self.size)
        return torch.randint(256, size, generator=torch.Generator().manual_seed(0)).byte()

    def real_inputs(self) -> Tensor:
        """What `zoo export` compares on: batches of the data are no inputs of ``forward``."""
        return self.example_input

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, ways) of the last of uint8 images (N, ways * shots + 1, H, W); those before
        are the support set, one image of every class after the other, ``shots`` times."""
        labels = torch.arange(images.shape[1] - 1, device=images.device) % self.ways
        logits: Tensor = self.net(
            images[:, :-1], labels.expand(images.shape[0], -1), images[:, -1:]
        )
        return logits[:, 0]

    def _measure(self, batch: Any, stage: str) -> Tensor:
        support, labels, queries, truth = batch
        logits = self.net(support, labels, queries)
        loss = F.cross_entropy(logits.flatten(0, 1), truth.flatten())
        right = (logits.argmax(-1) == truth).float().mean()
        values = {f"{stage}/loss": loss, f"{stage}/accuracy": right}
        if stage == "test":
            nearest = nearest_neighbor(support, labels, queries)
            values["test/nearest_accuracy"] = (nearest == truth).float().mean()
        self.log_dict(
            values,
            on_step=False,
            on_epoch=True,
            batch_size=truth.numel(),
            sync_dist=stage != "train",
        )
        return loss

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self._measure(batch, "train")

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "test")

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
        return optim.with_schedule(optimizer, optim.schedule(values["schedule"], total, 0.1))

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Support sets of a few tasks in the order of their labels, with a query each."""
        support, labels, queries, truth = (part[:6] for part in batch)
        found = self.net(support, labels, queries).argmax(-1)
        pictures, titles = [], []
        for number in range(len(support)):
            for place in labels[number].argsort().tolist():
                pictures.append(support[number, place].cpu().numpy())
                titles.append(str(int(labels[number, place])))
            pictures.append(queries[number, 0].cpu().numpy())
            titles.append(f"{int(truth[number, 0])} -> {int(found[number, 0])}")
        sheet = plots.contact_sheet(pictures, titles, heading="support, then query: true -> told")
        return {"tasks": sheet}

    # A user's own drawings: `zoo predict REF FOLDER`

    def group_files(self, files: Sequence[Path]) -> list[Path]:
        """The drawings to be told: all that lie in no folder ``support``."""
        return [path for path in files if SUPPORT not in path.parts]

    def read_file(self, path: Path) -> dict[str, Any]:
        """A drawing with its support set, which lies in the folder ``support`` beside it or further
        up: ``support/<class>/<image>``.

        Raises:
            UsageError: there is no support set, it has not just as many classes as the model tells
                apart, or an image cannot be read.
        """
        folder = next((up / SUPPORT for up in path.parents if (up / SUPPORT).is_dir()), None)
        if folder is None:
            raise UsageError(
                f"{path} has no support set: put {self.ways} folders of drawings, one a class, "
                f"into {path.parent / SUPPORT}"
            )
        classes = class_files(folder, 1)
        if len(classes) != self.ways:
            raise UsageError(
                f"{folder} has {len(classes)} classes, and the model tells {self.ways} apart: give "
                f"{self.ways} folders, or train with --data.ways {len(classes)}"
            )
        most = max(map(len, classes.values()))
        rows = [
            (label, paths[turn])
            for turn in range(most)
            for label, paths in enumerate(classes.values())
            if turn < len(paths)
        ]
        return {
            "query": self._drawing(path),
            "support": torch.stack([self._drawing(file) for _, file in rows]),
            "labels": torch.tensor([label for label, _ in rows]),
            "names": list(classes),
        }

    def _drawing(self, path: Path) -> Tensor:
        return read_drawing(path, self.size, self.ink, str(path))

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, Q, ways) of the queries of a batch of tasks."""
        probs: Tensor = self.net(*batch[:3]).softmax(-1)
        return probs

    def predict_sample(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Probabilities of a drawing, by class."""
        parts = [sample[name].to(self.device)[None] for name in ("support", "labels")]
        query = sample["query"].to(self.device)[None, None]
        probs = self.net(*parts, query).softmax(-1)[0, 0]
        return {"names": sample["names"], "probs": probs.cpu()}

    def describe_prediction(self, output: dict[str, Any]) -> dict[str, Any]:
        """A row of the table."""
        best = int(output["probs"].argmax())
        return {
            "label": output["names"][best],
            "confidence": round(float(output["probs"][best]), 4),
        }

    def write_example_files(self, folder: Path) -> Sequence[Path]:
        """A support set of lines at different angles, and a drawing to be told; for the kit."""
        random = torch.Generator().manual_seed(0)
        for name in range(self.ways):
            (folder / SUPPORT / str(name)).mkdir(parents=True)
            pixels = torch.randint(256, (20, 20), generator=random).byte().numpy()
            Image.fromarray(pixels).save(folder / SUPPORT / str(name) / "one.png")
        Image.fromarray(pixels).save(folder / "drawing.png")
        return [folder / "drawing.png"]
