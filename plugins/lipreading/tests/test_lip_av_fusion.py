"""Audiovisual fusion: alignment, noise, the streams, saliency."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from zoo.plugin import UsageError
from zoo_lipreading.av_fusion import AVFusion
from zoo_lipreading.av_network import align
from zoo_lipreading.data.talking_mouths import TalkingMouths
from zoo_lipreading.noise import CLEAN, add_noise, name_of
from zoo_lipreading.saliency import stream_saliency

DATA: dict[str, Any] = {
    "batch_size": 8, "size": [8, 12], "num_speakers": 2, "repetitions": 4, "audio": True,
}  # fmt: skip


def build(data: TalkingMouths, **changes: Any) -> AVFusion:
    torch.manual_seed(0)
    known = ("num_classes", "label_names", "image_size", "audio_size")
    sizes = {"feedforward": [8], "lstm": [6], "audio_feedforward": [7], "dropout": 0.0}
    return AVFusion(**{name: data.facts[name] for name in known}, **{**sizes, **changes})


def batch_of(data: TalkingMouths) -> Any:
    return next(iter(data.test_dataloader()))


def test_sound_is_laid_beside_the_frames() -> None:
    audio = torch.arange(12.0).view(1, 12, 1).repeat(3, 1, 1) + 1
    heard, seen = torch.tensor([12, 11, 4]), torch.tensor([6, 6, 4])
    beside = align(audio, heard, seen, 7)
    assert beside.shape == (3, 7, 2)
    assert beside[0].flatten().tolist() == [*range(1, 13), 0, 0]
    for clip in range(3):
        for half in range(14):
            place = math.floor((half + 0.5) / 2 * float(heard[clip]) / float(seen[clip]))
            wanted = float(audio[clip, place, 0]) if place < int(heard[clip]) else 0.0
            assert float(beside[clip].flatten()[half]) == wanted


@pytest.mark.parametrize("snr", [20.0, 0.0, -10.0])
def test_noise_has_the_ratio_asked_for_and_stays_within_the_clip(snr: float) -> None:
    torch.manual_seed(0)
    audio = 3 * torch.randn(4, 2000, 5)
    lengths = torch.tensor([2000, 1500, 1000, 2000])
    audio[1, 1500:] = 0
    audio[2, 1000:] = 0
    noise = add_noise(audio, lengths, torch.full((4,), snr)) - audio
    for clip, length in enumerate(lengths.tolist()):
        signal, drawn = audio[clip, :length], noise[clip, :length]
        ratio = 10 * math.log10(float(signal.square().mean() / drawn.square().mean()))
        assert ratio == pytest.approx(snr, abs=0.3)
        assert not noise[clip, length:].any()


def test_without_noise_the_sound_is_itself() -> None:
    audio = torch.randn(2, 5, 3)
    assert torch.equal(add_noise(audio, torch.tensor([5, 4]), torch.full((2,), CLEAN)), audio)
    assert [name_of(snr) for snr in (CLEAN, -10.0, 2.5)] == ["clean", "-10dB", "2.5dB"]


@pytest.mark.parametrize("fusion", ["early", "late", "gated", "video", "audio"])
def test_padding_changes_nothing(fusion: Any) -> None:
    data = TalkingMouths(**DATA)
    model, batch = build(data, fusion=fusion).eval(), batch_of(data)
    together = model(batch["video"], batch["lengths"], batch["audio"], batch["audio_lengths"])
    for clip, (seen, heard) in enumerate(
        zip(batch["lengths"].tolist(), batch["audio_lengths"].tolist(), strict=True)
    ):
        one = slice(clip, clip + 1)
        alone = model(batch["video"][one, :seen], None, batch["audio"][one, :heard])
        torch.testing.assert_close(together[one], alone)


def test_late_fusion_adds_logits_and_each_stream_sees_its_own() -> None:
    data = TalkingMouths(**DATA)
    model, batch = build(data, fusion="late").eval(), batch_of(data)
    rest = batch["lengths"], batch["audio"], batch["audio_lengths"]
    logits = model.stream_logits(batch["video"], *rest)
    torch.testing.assert_close(logits["fused"], logits["video"] + logits["audio"])
    other = model.stream_logits(batch["video"] + 1, *rest)
    assert torch.equal(other["audio"], logits["audio"])
    assert not torch.equal(other["video"], logits["video"])


def test_a_gate_weighs_the_streams() -> None:
    data = TalkingMouths(**DATA)
    model, batch = build(data, fusion="gated").eval(), batch_of(data)
    rest = batch["lengths"], batch["audio"], batch["audio_lengths"]
    logits = model.stream_logits(batch["video"], *rest)
    torch.testing.assert_close(logits["fused"], logits["video"] + logits["audio"])
    assert model.network.gate is not None
    with torch.no_grad():
        model.network.gate.bias[0] = 40.0
    logits = model.stream_logits(batch["video"], *rest)
    torch.testing.assert_close(logits["fused"], 2 * logits["video"])


def test_streams_that_are_not_trained_do_not_exist() -> None:
    data = TalkingMouths(**DATA)
    assert set(build(data, fusion="early", auxiliary=0.0).network.head) == {"fused"}
    assert set(build(data, fusion="early").network.head) == {"fused", "video", "audio"}
    assert set(build(data, fusion="video").network.head) == {"video"}


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_single_streams_have_losses_of_their_own(fusion: Any) -> None:
    data = TalkingMouths(**DATA)
    batch = next(iter(data.train_dataloader()))
    model = build(data, fusion=fusion, noise=0.0, auxiliary=0.25).eval()
    logits = model.stream_logits(
        batch["video"], batch["lengths"], batch["audio"], batch["audio_lengths"]
    )
    losses = {
        name: torch.nn.functional.cross_entropy(each, batch["label"])
        for name, each in logits.items()
    }
    wanted = losses["fused"] + 0.25 * (losses["video"] + losses["audio"])
    torch.testing.assert_close(model.training_step(batch, 0), wanted)


def test_the_sweep_is_logged_and_repeats_itself() -> None:
    data = TalkingMouths(**DATA)
    model = build(data, snrs=[0.0, -10.0])
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    metrics = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        trainer.test(model, datamodule=data, verbose=False)
        metrics.append({name: float(value) for name, value in trainer.callback_metrics.items()})
    assert metrics[0] == metrics[1]
    levels = {f"test/{s}accuracy{level}" for s in ("", "audio_") for level in ("/0dB", "/-10dB")}
    assert set(metrics[0]) == levels | {
        "test/loss", "test/accuracy", "test/audio_accuracy", "test/video_accuracy"
    }  # fmt: skip
    assert set(model.draw_plots(batch_of(data))) == {"noise", "confusion"}


def test_saliency_is_the_norm_of_the_inputs_gradient() -> None:
    data = TalkingMouths(**DATA)
    model = build(data).double().eval()
    batch = batch_of(data)
    video, audio = batch["video"].double(), batch["audio"].double()

    def logits(seen: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
        return model(seen, batch["lengths"], heard, batch["audio_lengths"])

    with torch.no_grad():
        found = stream_saliency(logits, video, audio, batch["label"])
        step, direction = 1e-5, torch.randn_like(audio)
        shares = [
            logits(video, audio + sign * step * direction)
            .log_softmax(dim=1)
            .gather(1, batch["label"][:, None])
            .sum()
            for sign in (1, -1)
        ]
    with torch.enable_grad():
        heard = audio.clone().requires_grad_()
        total = logits(video, heard).log_softmax(dim=1).gather(1, batch["label"][:, None]).sum()
        (gradient,) = torch.autograd.grad(total, heard)
    assert float((gradient * direction).sum()) == pytest.approx(
        float(shares[0] - shares[1]) / (2 * step), rel=1e-4
    )
    torch.testing.assert_close(found[1], gradient.flatten(1).norm(dim=1))
    assert (found[0] > 0).all()
    only = build(data, fusion="audio").double().eval()
    silent = stream_saliency(
        lambda seen, heard: only(seen, batch["lengths"], heard, batch["audio_lengths"]),
        video,
        audio,
        batch["label"],
    )
    assert not silent[0].any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"audio_size": None}, r"data\.audio"),
        ({"fusion": "middle"}, "early, late"),
        ({"noise_range": [3.0, 1.0]}, "noise_range"),
        ({"noise": 2.0}, "noise"),
        ({"snrs": [1.0, 1.0]}, "snrs"),
        ({"auxiliary": -1.0}, "auxiliary"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        AVFusion(**{"num_classes": 3, "image_size": [6, 8], "audio_size": 4, **changes})
