"""The three models: what they learn, say and refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer

from zoo.plugin import UsageError
from zoo_lipreading.data.talking_mouths import GRAMMAR, TalkingMouths
from zoo_lipreading.lipreader import Lipreader
from zoo_lipreading.lipreader_ctc import LipreaderCTC
from zoo_lipreading.presets import PRESETS

DATA: dict[str, Any] = {"batch_size": 8, "size": [10, 16], "num_speakers": 2, "repetitions": 4}


def facts_for(cls: type, data: TalkingMouths) -> dict[str, Any]:
    known = ("num_classes", "label_names", "image_size", "frame_rate", "preprocessing")
    more = ("grammar",) if cls is LipreaderCTC else ()
    return {name: data.facts[name] for name in (*known, *more)}


def fit(model: Any, data: Any, epochs: int) -> dict[str, float]:
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    trainer.test(model, datamodule=data, verbose=False)
    return found | {name: float(value) for name, value in trainer.callback_metrics.items()}


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_gives_its_sizes_and_an_argument_beats_it(preset: Any) -> None:
    wanted = PRESETS[preset]
    model = Lipreader(num_classes=4, image_size=[6, 8], preset=preset)
    layers = model.network.encoder.frames.feedforward.layers
    assert [layer[0].out_features for layer in layers] == wanted["feedforward"]  # type: ignore[index]
    assert [layer.hidden_size for layer in model.network.encoder.lstm.layers] == wanted["lstm"]
    assert len(model.network.classifier) == 2 * len(wanted["classifier"])
    changed = Lipreader(
        num_classes=4, image_size=[6, 8], preset=preset, feedforward=[7], classifier=[3]
    )
    assert changed.network.encoder.frames.feedforward.features == 7
    assert changed.network.head.in_features == 3


def test_the_lipreader_learns_words_and_its_figures_are_right() -> None:
    torch.manual_seed(0)
    data = TalkingMouths(**DATA)
    model = Lipreader(
        **facts_for(Lipreader, data), feedforward=[24], lstm=[24], dropout=0.0, lr=0.01
    )
    found = fit(model, data, 25)
    assert found["train/accuracy"] > 0.8
    model.eval()
    right = loss = count = 0.0
    with torch.no_grad():
        for batch in data.test_dataloader():
            logits = model(batch["video"], batch["lengths"])
            right += float((logits.argmax(dim=1) == batch["label"]).sum())
            loss += float(F.cross_entropy(logits, batch["label"], reduction="sum"))
            count += len(logits)
    assert found["test/accuracy"] == pytest.approx(right / count)
    assert found["test/loss"] == pytest.approx(loss / count, rel=1e-5)
    assert set(model.draw_plots(batch)) == {"confusion", "clips"}


@pytest.mark.parametrize("tokens", ["characters", "words"])
@pytest.mark.parametrize("decoder", ["greedy", "beam", "grammar"])
def test_a_sentence_is_read_and_measured(tokens: Any, decoder: Any) -> None:
    data = TalkingMouths(**DATA, unit="sentence", tokens=tokens)
    torch.manual_seed(0)
    model = LipreaderCTC(
        **facts_for(LipreaderCTC, data), feedforward=[8], lstm=[8], decoder=decoder, beam_size=8
    ).eval()
    batch = next(iter(data.test_dataloader()))
    targets = model.targets(batch)
    assert all(
        word in place
        for sentence in targets
        for word, place in zip(sentence.split(" "), GRAMMAR, strict=True)
    )
    read = model.read(model(batch["video"], batch["lengths"]), batch["lengths"])
    assert len(read) == len(targets)
    if decoder == "grammar":
        assert all(
            word in place
            for sentence in read
            for word, place in zip(sentence.split(" "), GRAMMAR, strict=True)
        )
    sure = torch.full((len(targets), 60, model.num_classes), -20.0)
    for clip, symbols in enumerate(batch["targets"].tolist()):
        length = int(batch["target_lengths"][clip])
        sure[clip, :, 0] = 0.0
        for place, symbol in enumerate(symbols[:length]):
            sure[clip, 2 * place, 0], sure[clip, 2 * place, symbol] = -20.0, 0.0
    assert model.read(sure, torch.full((len(targets),), 60)) == targets


@pytest.mark.slow
def test_ctc_learns_sentences() -> None:
    torch.manual_seed(0)
    more = {**DATA, "batch_size": 4, "repetitions": 16}
    data = TalkingMouths(**more, unit="sentence", val_fraction=0.0)
    model = LipreaderCTC(
        **facts_for(LipreaderCTC, data), feedforward=[32], lstm=[48], bidirectional=True,
        dropout=0.0, lr=0.01, decoder="grammar",
    )  # fmt: skip
    found = fit(model, data, 45)
    assert found["train/loss"] < 0.5
    assert found["test/wer"] < 0.5


def test_the_loss_of_ctc_counts_each_clips_own_frames() -> None:
    data = TalkingMouths(**DATA, unit="sentence")
    model = LipreaderCTC(**facts_for(LipreaderCTC, data), feedforward=[8], lstm=[8]).eval()
    batch = next(iter(data.test_dataloader()))
    whole = model.loss(model(batch["video"], batch["lengths"]), batch["lengths"], batch)
    parts = []
    for clip in range(len(batch["lengths"])):
        length, symbols = int(batch["lengths"][clip]), int(batch["target_lengths"][clip])
        logits = model(batch["video"][clip : clip + 1, :length])
        loss = F.ctc_loss(
            logits[0].log_softmax(dim=1),
            batch["targets"][clip, :symbols],
            torch.tensor(length),
            torch.tensor(symbols),
            reduction="sum",
        )
        parts.append(loss / symbols)
    torch.testing.assert_close(whole, torch.stack(parts).mean(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preset": "1999"}, "small, 2016"),
        ({"image_size": [4]}, "image_size"),
        ({"deltas": 3}, "deltas"),
        ({"lstm": []}, "lstm"),
        ({"dropout": 1.0}, "dropout"),
        ({"label_names": ["a"]}, "label_names"),
        ({"optimizer": "adagrad"}, "adamw"),
        ({"channels": [0]}, "channels"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Lipreader(**{"num_classes": 3, "image_size": [6, 8], **changes})


def test_a_grammar_is_needed_to_decode_by_one() -> None:
    with pytest.raises(UsageError, match=r"model\.grammar"):
        LipreaderCTC(num_classes=3, image_size=[6, 8], decoder="grammar")
