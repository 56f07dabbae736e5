"""Clips, batches, and the pairs of source and target."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from zoo_lipreading.data.batches import Clip, ClipLoader, Clips, PairedClips, collate
from zoo_lipreading.data.normalization import Normalizer, Whole

PLAIN = Normalizer("clip")


def clip(number: int, frames: int = 3, **more: object) -> Clip:
    video = np.full((frames, 2, 4), number, dtype=np.uint8)
    video[0] += 10
    return replace(
        Clip(f"clip {number}", number % 2, False, frames, partial(np.asarray, video), number),
        **more,
    )


class Unnormalized(Normalizer):
    """So that clips are told by their gray values."""

    def __init__(self) -> None:
        super().__init__("clip")

    def video(self, video: np.ndarray, speaker: int, whole: Whole = None) -> np.ndarray:
        return video.astype(np.float32)


def numbers(batch: dict, key: str = "video") -> list[int]:
    return [int(value) for value in batch[key][:, 1, 0, 0]]


def test_a_batch_is_padded_with_zeros_after_each_clip() -> None:
    clips = Clips([clip(1, 3), clip(2, 5)], PLAIN)
    batch = collate([clips[0], clips[1]])
    assert batch["video"].shape == (2, 5, 2, 4)
    assert batch["video"].dtype == torch.float32
    assert batch["lengths"].tolist() == [3, 5]
    assert (batch["video"][0, 3:] == 0).all()
    torch.testing.assert_close(batch["video"][0, :3], clips[0]["video"])
    assert batch["label"].tolist() == [1, 2]
    assert batch["speaker"].tolist() == [1, 0]
    assert batch["label"].dtype == batch["lengths"].dtype == batch["speaker"].dtype == torch.int64
    assert set(batch) == {"video", "lengths", "label", "speaker"}


def test_sentences_and_sound_are_padded_too() -> None:
    sound = np.ones((7, 3), np.float32).cumsum(axis=0)
    clips = Clips(
        [
            clip(1, 3, targets=(4, 5, 6), audio=lambda: sound),
            clip(2, 5, targets=(7,), audio=lambda: sound[:4]),
        ],
        PLAIN,
    )
    batch = collate([clips[0], clips[1]])
    assert batch["targets"].tolist() == [[4, 5, 6], [7, 0, 0]]
    assert batch["target_lengths"].tolist() == [3, 1]
    assert batch["audio"].shape == (2, 7, 3)
    assert batch["audio_lengths"].tolist() == [7, 4]
    assert (batch["audio"][1, 4:] == 0).all()
    assert "label" not in batch


def test_the_target_half_carries_no_label() -> None:
    source = [clip(number, targets=None) for number in range(4)]
    target = [clip(number, targets=(1, 2)) for number in (100, 101)]
    loader = ClipLoader(PairedClips(source, target, PLAIN, 0), 2, collate_fn=collate)
    for batch in loader:
        assert set(batch["target"]) == {"video", "lengths", "speaker"}
        assert len(batch["target"]["video"]) == len(batch["video"])


def test_other_labels_of_the_target_change_nothing() -> None:
    source = [clip(number) for number in range(6)]
    batches = []
    for garbage in (0, 999):
        target = [clip(number, label=garbage + number) for number in (100, 101)]
        loader = ClipLoader(PairedClips(source, target, PLAIN, 0), 2, collate_fn=collate)
        batches.append(list(loader))
    for one, other in zip(*batches, strict=True):
        assert torch.equal(one["target"]["video"], other["target"]["video"])
        assert torch.equal(one["label"], other["label"])


def test_few_target_clips_are_cycled_evenly_and_an_epoch_is_one_pass_over_the_source() -> None:
    source, target = [clip(n) for n in range(10)], [clip(n) for n in (100, 101, 102)]
    loader = ClipLoader(PairedClips(source, target, Unnormalized(), 3), 4, collate_fn=collate)
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        batches = list(loader)
        assert sorted(n for batch in batches for n in numbers(batch)) == list(range(10))
        seen = Counter(n for batch in batches for n in numbers(batch["target"]))
        assert set(seen) == {100, 101, 102}
        assert max(seen.values()) - min(seen.values()) <= 2  # 10 = 3 turns and a part


def test_every_turn_shows_each_target_clip_once() -> None:
    data = PairedClips([clip(n) for n in range(7)], [clip(n) for n in range(5)], PLAIN, 1)
    stream = []
    for epoch in range(5):
        data.epoch.fill_(epoch)
        stream += [data.partner(index) for index in range(7)]
    turns = [stream[start : start + 5] for start in range(0, 35, 5)]
    assert all(sorted(turn) == [0, 1, 2, 3, 4] for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1


def test_more_target_than_source_is_seen_over_the_epochs() -> None:
    data = PairedClips([clip(0), clip(1)], [clip(n) for n in range(6)], PLAIN, 0)
    seen = set()
    for epoch in range(3):
        data.epoch.fill_(epoch)
        seen |= {data.partner(0), data.partner(1)}
    assert seen == set(range(6))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_epoch_has_the_same_pairs(workers: int) -> None:
    def make() -> ClipLoader:
        data = PairedClips([clip(n) for n in range(9)], [clip(n) for n in range(4)], PLAIN, 5)
        loader = ClipLoader(data, 2, seed=5, collate_fn=collate, num_workers=workers)
        loader.sampler.set_epoch(2)
        return loader

    whole = list(make())
    cut = make()
    first = []
    state: dict[str, int] = {}
    for batch in cut:
        first.append(batch)
        if len(first) == 2:
            state = cut.state_dict()
            break
    rest = make()
    rest.load_state_dict(state)
    again = [*first, *rest]
    assert len(again) == len(whole)
    for one, other in zip(whole, again, strict=True):
        assert torch.equal(one["video"], other["video"])
        assert torch.equal(one["target"]["video"], other["target"]["video"])


def test_seeds_give_other_pairs() -> None:
    def partners(seed: int) -> list[int]:
        data = PairedClips([clip(0)] * 20, [clip(n) for n in range(20)], PLAIN, seed)
        return [data.partner(index) for index in range(20)]

    assert partners(0) == partners(0) != partners(1)
