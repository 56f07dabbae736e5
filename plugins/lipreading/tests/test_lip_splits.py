"""Splits by name: who may be trained on, looked at, and tested on."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_lipreading.data.batches import Clip
from zoo_lipreading.data.splits import Split, divide, first_seconds, parse_split

SPEAKERS = ["Ann", "Bob", "Cyd"]
_STILL = np.zeros((25, 1, 1), np.uint8)
CLIPS = [
    Clip(f"{name} {index}", number, index >= 8, 25, partial(np.asarray, _STILL), index)
    for number, name in enumerate(SPEAKERS)
    for index in range(12)
]


def parse(text: str) -> Split:
    return parse_split(text, SPEAKERS, {"mine": Split(("Ann",), ("Cyd",))}, "the folder")


def names(clips: list[Clip]) -> set[str]:
    return {SPEAKERS[clip.speaker] for clip in clips}


@pytest.mark.parametrize(
    ("text", "sources", "targets"),
    [
        ("multi-speaker", SPEAKERS, []),
        ("speaker:Bob", ["Bob"], []),
        ("leave-out:Bob", ["Ann", "Cyd"], ["Bob"]),
        ("Ann,Bob->Cyd", ["Ann", "Bob"], ["Cyd"]),
        (" Cyd -> Ann , Bob ", ["Cyd"], ["Ann", "Bob"]),
        ("all", [], SPEAKERS),
        ("mine", ["Ann"], ["Cyd"]),
    ],
)
def test_names(text: str, sources: list[str], targets: list[str]) -> None:
    assert parse(text) == Split(tuple(sources), tuple(targets))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ann,Bob->Bob", "'Bob' on both sides"),
        ("Ann,Ann->Bob", "'Ann' twice"),
        ("Ann->Dee", "'Dee', and the speakers under the folder are Ann, Bob, Cyd"),
        ("speaker:Dee", "'Dee', and the speakers"),
        ("leave-out:Dee", "'Dee', and the speakers"),
        ("leave-out:Ann,Bob,Cyd", "no speaker to train on"),
        ("->Ann", "both sides of ->"),
        ("Ann->", "both sides of ->"),
        ("standard", "no split 'standard'; it is one of mine, multi-speaker"),
    ],
)
def test_a_wrong_name_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=r".") as caught:
        parse(text)
    assert words in str(caught.value)


def test_multi_speaker_tests_held_out_clips_of_everybody() -> None:
    parts = divide(CLIPS, SPEAKERS, parse("multi-speaker"), val_fraction=0.25)
    assert {clip.held_out for clip in parts.train + parts.val} == {False}
    assert [clip.name for clip in parts.test] == [clip.name for clip in CLIPS if clip.held_out]
    assert len(parts.val) == 6
    assert not {clip.name for clip in parts.val} & {clip.name for clip in parts.train}
    assert parts.adapt == []


def test_the_inductive_target_is_tested_on_what_was_not_looked_at() -> None:
    parts = divide(CLIPS, SPEAKERS, parse("leave-out:Bob"), val_fraction=0.25)
    assert names(parts.train) == names(parts.val) == {"Ann", "Cyd"}
    assert names(parts.test) == names(parts.adapt) == {"Bob"}
    assert {clip.held_out for clip in parts.test} == {True}
    assert {clip.held_out for clip in parts.adapt} == {False}


def test_the_transductive_target_is_all_of_it() -> None:
    parts = divide(CLIPS, SPEAKERS, parse("Ann->Bob"), val_fraction=0.25, adaptation="transductive")
    assert parts.test == parts.adapt
    assert len(parts.test) == 12


def test_the_source_can_be_tested_or_used_up() -> None:
    split = parse("leave-out:Bob")
    source = divide(CLIPS, SPEAKERS, split, val_fraction=0.25, test_on="source")
    assert names(source.test) == {"Ann", "Cyd"}
    assert {clip.held_out for clip in source.test} == {True}
    all_of_it = divide(CLIPS, SPEAKERS, split, val_fraction=0.25, all_of_source=True)
    assert len(all_of_it.train) + len(all_of_it.val) == 24
    # Without a target the held-out clips stay what is tested.
    alone = divide(CLIPS, SPEAKERS, parse("multi-speaker"), val_fraction=0.25, all_of_source=True)
    assert {clip.held_out for clip in alone.train} == {False}
    assert len(alone.test) == 12


def test_all_is_test_data() -> None:
    parts = divide(CLIPS, SPEAKERS, parse("all"), val_fraction=0.25)
    assert (parts.train, parts.val, len(parts.test), parts.adapt) == ([], [], 36, [])


def test_words_of_one_recording_stay_together() -> None:
    from dataclasses import replace

    words = [replace(clip, recording=clip.name[:5]) for clip in CLIPS]  # "Ann 1": 1, 10, 11
    parts = divide(words, SPEAKERS, parse("multi-speaker"), val_fraction=0.3)
    assert parts.val
    assert not {c.recording for c in parts.val} & {c.recording for c in parts.train}


def test_seconds_of_the_target() -> None:
    chosen = first_seconds(CLIPS, 3.5, 25.0, seed=1)
    assert len(chosen) == 4  # of a second each
    assert first_seconds(CLIPS, None, 25.0, seed=1) == CLIPS
    assert first_seconds(CLIPS, 1e9, 25.0, seed=1) == CLIPS
    again = first_seconds(CLIPS, 3.5, 25.0, seed=1)
    other = first_seconds(CLIPS, 3.5, 25.0, seed=2)
    assert [c.name for c in chosen] == [c.name for c in again] != [c.name for c in other]
    longer = first_seconds(CLIPS, 9.0, 25.0, seed=1)
    assert {c.name for c in chosen} < {c.name for c in longer}


def test_a_speaker_s_only_recording_is_trained_on() -> None:
    few = [clip for clip in CLIPS if clip.speaker == 0 or clip.name == "Bob 0"]
    parts = divide(few, SPEAKERS, parse("multi-speaker"), val_fraction=0.9)
    assert names(parts.train) == {"Ann", "Bob"}
    assert names(parts.val) == {"Ann"}


def test_the_untranscribed_is_only_looked_at() -> None:
    from dataclasses import replace

    mixed = [replace(clip, transcribed=clip.speaker != 1) for clip in CLIPS]
    parts = divide(mixed, SPEAKERS, parse("Ann->Bob,Cyd"), val_fraction=0.1)
    assert names(parts.adapt) == {"Bob", "Cyd"}
    assert names(parts.test) == {"Cyd"}
