"""Clips divided into folds, lipreaders averaged and seen mirrored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo.plugin import EnsembleMember, Fold, ProbabilityTester, UsageError
from zoo_lipreading.data.talking_mouths import TalkingMouths
from zoo_lipreading.lipreader import Lipreader
from zoo_lipreading.lipreader_ctc import LipreaderCTC
from zoo_lipreading.prediction import ClipPrediction, Word

SMALL = {"size": [10, 16], "num_speakers": 3, "repetitions": 4}


def small(kind: type, names: list[str], **arguments):
    torch.manual_seed(0)
    sizes = {"feedforward": [6], "lstm": [6], "image_size": [10, 16]}
    return kind(num_classes=len(names), label_names=names, **sizes, **arguments).eval()


def test_speakers_are_groups_and_their_clips_can_be_held_out():
    data = TalkingMouths(**SMALL)
    samples = data.fold_samples()
    assert samples.group_name == "speaker"
    assert sorted(set(samples.groups)) == ["m1", "m2", "m3"]
    assert all(word in name for word, name in zip(samples.classes, samples.names, strict=True))
    val = [index for index, speaker in enumerate(samples.groups) if speaker == "m2"]
    divided = TalkingMouths(**SMALL)
    divided.use_fold(Fold(1, 3, len(samples), samples.fingerprint, tuple(val)))
    divided.setup()
    assert [clip.name for clip in divided.samples("val")] == [samples.names[i] for i in val]
    assert {clip.speaker for clip in divided.samples("train")} == {0, 2}
    names = [[clip.name for clip in each.samples("test")] for each in (data, divided)]
    assert names[0] == names[1]
    assert TalkingMouths(**SMALL, unit="sentence").fold_samples().classes is None


@pytest.mark.parametrize("kind", [Lipreader, LipreaderCTC])
def test_the_probabilities_of_others_are_measured_as_its_own(kind: type):
    unit = "word" if kind is Lipreader else "sentence"
    data = TalkingMouths(**SMALL, unit=unit, batch_size=4)
    model = small(kind, data.facts["label_names"])
    assert isinstance(model, EnsembleMember)
    assert isinstance(model, ProbabilityTester)
    batch = next(iter(data.test_dataloader()))
    with torch.no_grad():
        model.test_step(batch, 0)
        own = float(model.test_loss.compute())
        model.test_loss.reset()
        probs = model.predict_step(batch, 0)
        model.measure_probabilities(batch, probs)
    assert float(model.test_loss.compute()) == pytest.approx(own, rel=1e-4)
    assert len(model.describe_batch(batch, probs)) == 4


def test_mirror_images_are_averaged_if_the_training_showed_them():
    names = ["red", "blue"]
    with pytest.raises(UsageError, match="without mirror images"):
        small(Lipreader, names).use_tta()
    model = small(Lipreader, names, flip=0.5)
    video = torch.randn(2, 5, 10, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = model.predict_step(video, 0), model.predict_step(video.flip(-1), 0)
        assert model.use_tta() == ["as it is", "mirrored"]
        assert torch.allclose(model.predict_step(video, 0), (one + other) / 2)


def test_a_word_and_a_sentence_of_the_mean():
    word = small(Lipreader, ["red", "blue"])
    before = ClipPrediction([Word("red", 0.0, 0.4, 0.9)], "word", np.array([[0.9, 0.1]]))
    after = word.with_probabilities(before, torch.tensor([[0.3], [0.7]]))
    assert after.words == [Word("blue", 0.0, 0.4, 0.7)]
    assert torch.equal(word.probabilities_of(after), torch.tensor([[0.3], [0.7]]))
    sentence = small(LipreaderCTC, ["blank", "red", "blue"], decoder="greedy")
    probs = torch.tensor([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    before = ClipPrediction([], "frame", probs.numpy(), 10.0)
    after = sentence.with_probabilities(before, probs.T)
    assert [each.word for each in after.words] == ["red", "blue"]
    assert after.words[1].end == 0.3
