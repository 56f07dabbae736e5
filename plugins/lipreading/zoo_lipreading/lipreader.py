"""Words from clips of a mouth, and adaptation to a new speaker by domain-adversarial training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo.plugin import (
    DeviceMean,
    UsageError,
    above,
    at_least,
    one_of,
    optim,
    plots,
)
from zoo_lipreading.adversary import Adversary, Schedule, read_attach
from zoo_lipreading.networks import Encoder, LipreaderNet, initialize
from zoo_lipreading.plots import clip_sheet
from zoo_lipreading.prediction import WordReading
from zoo_lipreading.reader import Reader, check_units

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Lipreader(WordReading, Reader):
    """Feed-forward layers and an LSTM over mouth images; the word is read off after the clip's
    last valid frame.

    With ``adversary_weight`` above 0 the net is trained domain-adversarially: beside the word,
    a second classifier tells the speakers apart, and its reversed gradient makes the layers
    below forget who speaks. Batches then carry unlabelled clips of the target speaker
    (``data.target true``); words are learnt from the source speakers alone. With weight 0 the
    target's clips are not looked at, and the model is the plain one.

    Source: Wand, Koutnik, Schmidhuber: Lipreading with Long Short-Term Memory, ICASSP 2016
    (arXiv:1601.08188); Wand, Schmidhuber: Improving Speaker-Independent Lipreading with
    Domain-Adversarial Training, Interspeech 2017 (arXiv:1708.01565).

    Args:
        num_speakers: Number of speakers in the data. Filled in from the data; 2 without.
        classifier: Units of layers between the LSTM and the words.
        pooling: What the word is read off: ``last`` is the LSTM's state after the clip's last
            valid frame, ``mean`` the mean over its valid frames.
        label_smoothing: Probability taken from the true word and spread over all.
        adversary_weight: Largest weight of the reversed gradient; 0 is plain training.
        adversary_attach: Where it is attached: ``lstm``, or the index of a feed-forward layer,
            from 0.
        adversary_level: ``segment``: one decision a clip, from the LSTM's state at its end or
            from a feed-forward layer's mean; ``frame``: one for each frame.
        adversary_classes: ``domain`` tells source from target, ``speaker`` every speaker apart.
        adversary_hidden: Units of the adversary's own layers.
        adversary_dropout: Dropout rate before them.
        adversary_gamma: Steepness of the weight's growth, 2 / (1 + exp(-gamma t)) - 1; 0 holds
            it constant.
        adversary_unit: What t counts: ``step`` or ``epoch``.
        adversary_length: Steps or epochs in which t comes to 1; the whole training without.
        reading: The arguments of ``Reader``.

    Raises:
        UsageError: an argument is out of its range, or two do not fit together.
    """

    task_arguments = ("num_classes", "label_names", "num_speakers", "speakers")
    plot_captions = {  # noqa: RUF012  # read, never changed
        "clips": "Mouths of a batch of the test, three frames each, under what was said -> "
        "what was read; the mistakes that were most certain come first.",
        "confusion": "The clips of the test by what was said (rows) and what was read (columns).",
    }

    def __init__(
        self,
        num_speakers: int | None = None,
        classifier: list[int] | None = None,
        pooling: Literal["last", "mean"] = "last",
        label_smoothing: float = 0.0,
        adversary_weight: float = 0.0,
        adversary_attach: str = "lstm",
        adversary_level: Literal["segment", "frame"] = "segment",
        adversary_classes: Literal["domain", "speaker"] = "domain",
        adversary_hidden: list[int] | None = None,
        adversary_dropout: float = 0.0,
        adversary_gamma: float = 10.0,
        adversary_unit: Literal["step", "epoch"] = "epoch",
        adversary_length: float | None = None,
        **reading: Any,
    ) -> None:
        super().__init__(**reading)
        one_of("pooling", pooling, ("last", "mean"))
        one_of("adversary_level", adversary_level, ("segment", "frame"))
        one_of("adversary_classes", adversary_classes, ("domain", "speaker"))
        one_of("adversary_unit", adversary_unit, ("step", "epoch"))
        at_least("adversary_weight", adversary_weight, 0)
        at_least("adversary_gamma", adversary_gamma, 0)
        at_least("label_smoothing", label_smoothing, 0)
        if adversary_length is not None:
            above("adversary_length", adversary_length, 0)
        num_speakers = 2 if num_speakers is None else num_speakers
        units = self.sizes["classifier"] if classifier is None else classifier
        hidden = self.sizes["adversary_hidden"] if adversary_hidden is None else adversary_hidden
        check_units("classifier", units)
        check_units("adversary_hidden", hidden)
        attach = read_attach(adversary_attach, len(self.sizes["feedforward"]))
        encoder = Encoder(**self.encoder_arguments, pooling=pooling)
        self.network = LipreaderNet(encoder, self.num_classes, units, self.sizes["activation"])
        self.label_smoothing = label_smoothing
        self.adversary: Adversary | None = None
        self.schedule: Schedule | None = None
        if adversary_weight:
            self.adversary = Adversary(
                encoder.features if attach == "lstm" else self.sizes["feedforward"][int(attach)],
                2 if adversary_classes == "domain" else max(num_speakers, 2),
                hidden,
                adversary_dropout,
                attach,
                adversary_level,
            )
        if self.sizes["init_std"]:
            initialize(self, self.sizes["init_std"])
        self.train_loss, self.train_accuracy = DeviceMean(), DeviceMean()
        self.train_adversary = nn.ModuleDict()
        if self.adversary is not None:
            self.train_adversary = nn.ModuleDict({"accuracy": DeviceMean(), "loss": DeviceMean()})
        self.val_loss, self.val_accuracy = MeanMetric(), MeanMetric()
        self.test_loss, self.test_accuracy = MeanMetric(), MeanMetric()
        self.confusion = MulticlassConfusionMatrix(self.num_classes, validate_args=False)
        self._counts: Tensor | None = None

    @property
    def head(self) -> tuple[str, ...]:
        """The submodules a new task replaces."""
        return ("network.head",) if self.adversary is None else ("network.head", "adversary")

    def forward(self, video: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Classify clips.

        Args:
            video: float (N, T, H, W), normalized, padded after each clip's end.
            lengths: int64 (N,), frames of each clip; None where all are T long.

        Returns:
            Logits (N, num_classes).
        """
        # Under "bf16-true" the weights are bfloat16 and the clips are not.
        logits: Tensor = self.network(video.to(next(self.network.parameters()).dtype), lengths)
        return logits

    # Training

    def on_fit_start(self) -> None:
        values = self.hparams
        length = values["adversary_length"]
        if length is None:
            steps = optim.total_steps(self.trainer)
            length = steps if values["adversary_unit"] == "step" else self.trainer.max_epochs or 1
        if length <= 0 or length == float("inf"):
            raise UsageError(
                "the adversary's schedule has to know how long it is; set model.adversary_length, "
                "or trainer.max_epochs"
            )
        self.schedule = Schedule(
            values["adversary_weight"], values["adversary_gamma"], values["adversary_unit"], length
        )

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        label = batch["label"]
        if self.adversary is None:
            video, lengths = self.augmentation(batch["video"], batch["lengths"])
            logits = self(video, lengths)
        else:
            logits, adversary_loss = self._step_against(self.adversary, batch)
        loss = F.cross_entropy(logits, label, label_smoothing=self.label_smoothing)
        self.train_loss.update(loss.detach(), len(label))
        self.train_accuracy.update(_correct(logits, label))
        return loss if self.adversary is None else loss + adversary_loss

    def _step_against(self, adversary: Adversary, batch: Any) -> tuple[Tensor, Tensor]:
        """Logits of the source's clips, and the adversary's loss on source and target."""
        assert self.schedule is not None
        video, lengths, classes = _with_target(batch, self.hparams["adversary_classes"])
        video, lengths = self.augmentation(video, lengths)
        representation = self.network.encoder(video, lengths)
        weight = self.schedule(self.global_step, self.current_epoch)
        loss, accuracy = adversary(representation, lengths, classes, weight)
        for name, value in (("accuracy", accuracy), ("loss", loss)):
            self._adversary_mean(name).update(value.detach(), len(classes))
        count = len(batch["label"])
        source = representation._replace(segment=representation.segment[:count])
        return self.network.classify(source), loss

    def _adversary_mean(self, name: str) -> MeanMetric:
        return cast("MeanMetric", self.train_adversary[name])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        logits = self(batch["video"], batch["lengths"])
        label = batch["label"]
        self.val_loss.update(F.cross_entropy(logits, label), len(label))
        self.val_accuracy.update(_correct(logits, label))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        if self._mirrors:
            self.measure_probabilities(batch, self.predict_step(batch, batch_idx))
            return
        self._measure(self(batch["video"], batch["lengths"]), batch["label"])

    def measure_probabilities(self, batch: Any, probabilities: Tensor) -> None:
        """Add a batch of the test to its metrics, by probabilities (N, num_classes) of others."""
        self._measure(probabilities.float().clamp_min(1e-12).log(), batch["label"])

    def describe_batch(self, batch: Any, probabilities: Tensor) -> list[dict[str, Any]]:
        """The true word of each clip beside the one read."""
        return [
            {
                "truth": self.label_names[label],
                "label": self.label_names[int(row.argmax())],
                "confidence": round(float(row.max()), 6),
            }
            for label, row in zip(batch["label"].tolist(), probabilities, strict=True)
        ]

    def to_probabilities(self, outputs: Tensor) -> Tensor:
        """Logits as probabilities."""
        return outputs.softmax(dim=1)

    def _measure(self, logits: Tensor, label: Tensor) -> None:
        self.test_loss.update(F.cross_entropy(logits, label), len(label))
        self.test_accuracy.update(_correct(logits, label))
        self.confusion.update(logits, label)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, num_classes) of clips, labelled or not."""
        video, lengths = (
            (batch, None)
            if isinstance(batch, Tensor)
            else (
                batch["video"],
                batch["lengths"],
            )
        )
        return self.over_views(video, lambda clips: self(clips, lengths).softmax(dim=1))

    def on_train_epoch_end(self) -> None:
        self.log_means("train", loss=self.train_loss, accuracy=self.train_accuracy)
        if self.adversary is not None and self.schedule is not None:
            self.log_means(
                "train",
                adversary_accuracy=self._adversary_mean("accuracy"),
                adversary_loss=self._adversary_mean("loss"),
            )
            weight = self.schedule(self.global_step, self.current_epoch)
            self.log("train/adversary_weight", weight, sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        self.log_means("val", loss=self.val_loss, accuracy=self.val_accuracy)

    def on_test_epoch_end(self) -> None:
        self.log_means("test", loss=self.test_loss, accuracy=self.test_accuracy)
        self._counts = self.confusion.compute().cpu()
        self.confusion.reset()

    # Plots

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The confusion matrix of the test, or of this batch, and the batch's mouths under what
        was read from them.

        Args:
            batch: As of the test loader.
        """
        probs = self.predict_step(batch, 0)
        counts = self._counts
        if counts is None:
            confusion = MulticlassConfusionMatrix(self.num_classes).to(probs.device)
            counts = confusion(probs, batch["label"]).cpu()
        names = self.label_names
        confidence, read = probs.max(dim=1)
        right = read == batch["label"]
        # The mistakes that were most certain come first.
        order = (right.float() * 2 - confidence).argsort(stable=True)
        titles = [
            f"{names[true]} -> {names[said]}\n{sure:.0%}"
            for true, said, sure in zip(
                batch["label"][order].tolist(),
                read[order].tolist(),
                confidence[order].tolist(),
                strict=True,
            )
        ]
        return {
            "confusion": plots.confusion_matrix(counts.numpy(), names),
            "clips": clip_sheet(batch["video"][order], batch["lengths"].to(order)[order], titles),
        }


def _correct(logits: Tensor, label: Tensor) -> Tensor:
    return (logits.detach().argmax(dim=1) == label).float()


def _with_target(batch: Any, classes: str) -> tuple[Tensor, Tensor, Tensor]:
    """Source and target clips together: video, lengths and the adversary's classes.

    Raises:
        UsageError: source is to be told from target, and there is no target.
    """
    halves = [batch]
    if "target" in batch:
        halves.append(batch["target"])
    elif classes == "domain":
        raise UsageError(
            "adversary_weight is above 0 and the batches have no clips of a target speaker: set "
            "data.target to true, with a split that has a target such as leave-out:NAME, or set "
            "adversary_classes to speaker"
        )
    frames = max(half["video"].shape[1] for half in halves)
    video = torch.cat(
        [F.pad(half["video"], (0, 0, 0, 0, 0, frames - half["video"].shape[1])) for half in halves]
    )
    lengths = torch.cat([half["lengths"] for half in halves])
    if classes == "speaker":
        return video, lengths, torch.cat([half["speaker"] for half in halves])
    numbers = [torch.full_like(half["speaker"], index) for index, half in enumerate(halves)]
    return video, lengths, torch.cat(numbers)
