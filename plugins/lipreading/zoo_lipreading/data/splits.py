"""Who is trained on and who is tested, by name.

| split | training and validation | test |
|---|---|---|
| ``multi-speaker`` | training clips of all speakers | the held-out clips of the same |
| ``speaker:NAME`` | training clips of that speaker | the held-out clips of the same |
| ``leave-out:NAME`` | all other speakers | that speaker |
| ``A,B->C`` | speakers A and B | speaker C |
| ``all`` | nobody | everything |

In the third and fourth, the speakers tested are the *target* and the others the *source*. Labels
of target clips are used in testing alone; validation is of source speakers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from zoo.plugin import UsageError
from zoo_lipreading.data.batches import Clip

SPLIT_SEED = 20170820
"""The validation part is the same in every run, whatever the recipe's seed."""
Adaptation = Literal["inductive", "transductive"]
TestOn = Literal["target", "source"]
ADAPTATIONS = get_args(Adaptation)
TEST_ON = get_args(TestOn)
_FORMS = "multi-speaker, speaker:NAME, leave-out:NAME, A,B->C or all"


@dataclass(frozen=True)
class Split:
    """Names of speakers.

    Attributes:
        sources: Trained on; of nobody, everything is test data.
        targets: Tested on and adapted to; of nobody, the test is of the sources' held-out clips.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...] = ()

    @property
    def speakers(self) -> tuple[str, ...]:
        """All of them."""
        return self.sources + self.targets


@dataclass(frozen=True)
class Parts:
    """Clips by their use.

    Attributes:
        train: Labelled training clips.
        val: Labelled clips of source speakers.
        test: Labelled clips to test on.
        adapt: Clips of the target to look at without labels; empty where there is no target.
    """

    train: list[Clip]
    val: list[Clip]
    test: list[Clip]
    adapt: list[Clip]


def parse_split(
    text: str, speakers: Sequence[str], named: Mapping[str, Split], where: object
) -> Split:
    """Read a split's name.

    Args:
        text: Such as ``leave-out:Anya`` or ``s1,s2->s3``.
        speakers: All there are.
        named: Further splits of the dataset.
        where: The data's place, for messages.

    Raises:
        UsageError: it is not a split, names an unknown speaker, or has a speaker on both sides.
    """
    split = named[text] if text in named else _split_of(text, speakers, named)
    unknown = [name for name in split.speakers if name not in speakers]
    if unknown:
        raise UsageError(
            f"the split {text!r} names {_quoted(unknown)}, and the speakers under {where} are "
            f"{', '.join(speakers) or 'none'}"
        )
    both = [name for name in split.sources if name in split.targets]
    if both:
        raise UsageError(
            f"the split {text!r} has {_quoted(both)} on both sides: whoever is tested on may not "
            "be trained on; name every speaker once"
        )
    twice = sorted({name for name in split.speakers if split.speakers.count(name) > 1})
    if twice:
        raise UsageError(f"the split {text!r} names {_quoted(twice)} twice; once is enough")
    if not split.sources and text != "all":
        raise UsageError(f"the split {text!r} leaves no speaker to train on under {where}")
    return split


def _split_of(text: str, speakers: Sequence[str], named: Iterable[str]) -> Split:
    kind, _, names = text.partition(":")
    if text == "multi-speaker":
        return Split(tuple(speakers))
    if text == "all":
        return Split((), tuple(speakers))
    if kind == "speaker" and names:
        return Split((names.strip(),))
    if kind == "leave-out" and names:
        out = _names(names)
        return Split(tuple(name for name in speakers if name not in out), out)
    if "->" not in text:
        more = "".join(f"{name}, " for name in named)
        raise UsageError(f"there is no split {text!r}; it is one of {more}{_FORMS}")
    source, _, target = text.partition("->")
    split = Split(_names(source), _names(target))
    if not split.sources or not split.targets:
        raise UsageError(f"the split {text!r} needs a speaker on both sides of ->")
    return split


def divide(
    clips: Sequence[Clip],
    speakers: Sequence[str],
    split: Split,
    *,
    val_fraction: float,
    adaptation: Adaptation = "inductive",
    all_of_source: bool = False,
    test_on: TestOn = "target",
) -> Parts:
    """Sort clips by their use.

    Args:
        clips: All clips; those of speakers outside the split are left out. Of target speakers
            some may be untranscribed: these are looked at and not tested on.
        speakers: Names by index.
        split: Who is trained on and tested on.
        val_fraction: Share of the recordings of the labelled training clips held out for
            validation, as many of each speaker and chosen by a constant seed; at least one in
            all if above 0.
        adaptation: ``inductive`` adapts to the target's training clips and tests on its held-out
            ones; ``transductive`` adapts to, and tests on, all of its clips.
        all_of_source: Train on the source's held-out clips too, where there is a target.
        test_on: Test the ``target``, or the held-out clips of the ``source``.
    """
    sources = [clip for clip in clips if speakers[clip.speaker] in split.sources]
    seen = [clip for clip in clips if speakers[clip.speaker] in split.targets]
    targets = [clip for clip in seen if clip.transcribed]
    if not split.sources:
        return Parts([], [], targets, [])
    training = [clip for clip in sources if not clip.held_out or (all_of_source and seen)]
    chosen = _validation(training, val_fraction)
    train = [clip for clip in training if (clip.recording or clip.name) not in chosen]
    val = [clip for clip in training if (clip.recording or clip.name) in chosen]
    everything = adaptation == "transductive"
    adapt = [clip for clip in seen if everything or not clip.held_out]
    if seen and test_on == "target":
        test = [clip for clip in targets if everything or clip.held_out]
    else:
        test = [clip for clip in sources if clip.held_out and not (all_of_source and seen)]
    return Parts(train, val, test, adapt)


def _validation(clips: Sequence[Clip], fraction: float) -> set[str]:
    """Names of the recordings held out for validation."""
    by_speaker: dict[int, dict[str, None]] = {}  # in their order
    for clip in clips:
        by_speaker.setdefault(clip.speaker, {})[clip.recording or clip.name] = None
    total = sum(map(len, by_speaker.values()))
    if not fraction or total < 2:
        return set()
    # One of each speaker, then the next of each, until there are enough; one is left to train on.
    ranked = []
    for speaker, names in by_speaker.items():
        recordings = list(names)
        order = np.random.default_rng([SPLIT_SEED, speaker]).permutation(len(recordings))[:-1]
        ranked += [(rank, speaker, recordings[index]) for rank, index in enumerate(order)]
    count = max(1, round(total * fraction))
    return {name for _, _, name in sorted(ranked)[:count]}


def first_seconds(
    clips: Sequence[Clip], seconds: float | None, frame_rate: float, seed: int
) -> list[Clip]:
    """A random choice of clips that lasts at least so long; all of them if they are shorter.

    Args:
        clips: To choose from.
        seconds: How long; None for all.
        frame_rate: Frames a second.
        seed: Of the choice.
    """
    if seconds is None:
        return list(clips)
    chosen: list[int] = []
    frames = 0
    for index in np.random.default_rng([SPLIT_SEED, seed]).permutation(len(clips)).tolist():
        if frames >= seconds * frame_rate:
            break
        chosen.append(index)
        frames += clips[index].frames
    return [clips[index] for index in sorted(chosen)]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
