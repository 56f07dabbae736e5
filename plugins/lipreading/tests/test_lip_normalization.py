"""Pixel-wise normalization against numpy on everything at once."""

from __future__ import annotations

import numpy as np
import pytest

from zoo_lipreading.data.normalization import (
    LEAST_STD,
    Normalizer,
    from_text,
    statistics,
    to_text,
)

RANDOM = np.random.default_rng(0)
CLIPS = [RANDOM.integers(0, 256, (frames, 3, 5)).astype(np.uint8) for frames in (4, 9, 2)]


def test_statistics_are_those_of_all_frames_together() -> None:
    mean, std = statistics(CLIPS, "video")
    frames = np.concatenate(CLIPS).astype(np.float64)
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-3)
    np.testing.assert_allclose(std, frames.std(axis=0), rtol=1e-3)


def test_a_still_pixel_is_not_blown_up() -> None:
    still = np.full((5, 2, 2), 77, np.uint8)
    mean, std = statistics([still], "video")
    assert (mean == 77).all()
    assert (std == LEAST_STD["video"]).all()


def test_the_three_ways() -> None:
    one, other = statistics(CLIPS[:1], "video"), statistics(CLIPS[1:], "video")
    by_speaker = Normalizer("speaker", {0: one, 1: other})
    together = Normalizer("global", {None: one})
    alone = Normalizer("clip")
    expected = (CLIPS[0].astype(np.float32) - one[0]) / one[1]
    np.testing.assert_array_equal(by_speaker.video(CLIPS[0], 0), expected)
    np.testing.assert_array_equal(together.video(CLIPS[0], 7), expected)
    np.testing.assert_array_equal(alone.video(CLIPS[0], 7), expected)
    assert not np.array_equal(by_speaker.video(CLIPS[0], 1), expected)
    assert expected.dtype == np.float32


def test_text_gives_the_very_numbers_back() -> None:
    mean, std = statistics(CLIPS, "video")
    for values in (mean, std):
        np.testing.assert_array_equal(from_text(to_text(values), values.shape), values)


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_normalized_clips_have_mean_0_and_deviation_1(kind: str) -> None:
    arrays = CLIPS if kind == "video" else [clip[:, 0].astype(np.float32) for clip in CLIPS]
    normalizer = Normalizer("global", **{kind: {None: statistics(arrays, kind)}})
    done = np.concatenate([getattr(normalizer, kind)(array, 0) for array in arrays])
    np.testing.assert_allclose(done.mean(axis=0), 0, atol=2e-3)
    np.testing.assert_allclose(done.std(axis=0), 1, atol=2e-3)
