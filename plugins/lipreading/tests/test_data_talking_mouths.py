"""The generated mouths."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo.plugin import UsageError
from zoo_lipreading.data.symbols import BLANK, Vocabulary
from zoo_lipreading.data.talking_mouths import GRAMMAR, TalkingMouths

SMALL = {"size": [10, 16], "num_speakers": 3, "repetitions": 4}


def test_the_clips_are_always_the_same() -> None:
    for key in ("video", "lengths", "label", "speaker"):
        one, again = (
            next(iter(TalkingMouths(**SMALL, seed=seed).test_dataloader()))[key] for seed in (0, 9)
        )
        assert torch.equal(one, again)


def test_every_speaker_says_every_word_in_training_and_test() -> None:
    data = TalkingMouths(**SMALL, val_fraction=0.0)
    parts = data.parts
    for clips, times in ((parts.train, 3), (parts.test, 1)):
        found = np.zeros((3, 9), int)
        for clip in clips:
            found[clip.speaker, clip.label] += 1
        assert (found == times).all()


def test_speakers_look_different() -> None:
    data = TalkingMouths(**SMALL, split="all")
    clips = data.parts.test
    means = [
        np.mean([clip.read().mean(axis=0) for clip in clips if clip.speaker == number], axis=0)
        for number in range(3)
    ]
    spread = np.mean([clip.read().std(axis=0).mean() for clip in clips])
    gaps = [np.abs(means[a] - means[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(gaps) > 0.2 * spread


def test_sentences_in_characters_and_words() -> None:
    for tokens in ("characters", "words"):
        data = TalkingMouths(**SMALL, unit="sentence", tokens=tokens)
        facts = data.facts
        assert facts["grammar"] == GRAMMAR
        assert facts["label_names"][0] == BLANK
        assert facts["num_classes"] == len(facts["label_names"])
        batch = next(iter(data.train_dataloader()))
        assert "label" not in batch
        for symbols, length in zip(batch["targets"], batch["target_lengths"], strict=True):
            named = [facts["label_names"][n] for n in symbols[:length].tolist()]
            words = "".join(named).split() if tokens == "characters" else named
            assert [word in place for word, place in zip(words, GRAMMAR, strict=True)] == [True] * 3
            assert (symbols[length:] == 0).all()
        assert (batch["lengths"] >= 2 * batch["target_lengths"]).all()  # CTC has room


def test_sound() -> None:
    data = TalkingMouths(**SMALL, audio=True)
    batch = next(iter(data.train_dataloader()))
    assert batch["audio"].shape[2] == data.facts["audio_size"]
    assert (batch["audio_lengths"] == 2 * batch["lengths"]).all()


def test_wrong_arguments() -> None:
    for arguments, words in (
        ({"repetitions": 3}, "repetitions has to be 4 or more"),
        ({"unit": "letter"}, "unit has to be one of word, sentence, not 'letter'"),
        ({"tokens": "phonemes"}, "tokens has to be one of characters, words"),
    ):
        with pytest.raises(UsageError, match=words):
            TalkingMouths(**{**SMALL, **arguments})
    with pytest.raises(UsageError, match="the speakers under the talking mouths are m1, m2, m3"):
        TalkingMouths(**SMALL, split="speaker:m9").setup()


def test_a_word_outside_the_vocabulary() -> None:
    with pytest.raises(ValueError, match="'cat' is not in the vocabulary"):
        Vocabulary(["dog"], "words").encode(["dog", "cat"])


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="seed has to be 0 or more, not -1"):
        TalkingMouths(seed=-1)
