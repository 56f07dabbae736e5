"""Generated mouths that speak, for a first try and for tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit

from zoo.plugin import at_least
from zoo_lipreading.data.batches import Clip
from zoo_lipreading.data.module import LipDataModule, Listing
from zoo_lipreading.data.normalization import Normalization
from zoo_lipreading.data.splits import Adaptation, Split, TestOn
from zoo_lipreading.data.symbols import Tokens, Unit, Vocabulary, check_units

GRAMMAR = [["bin", "lay", "set"], ["red", "blue", "gold"], ["one", "two", "nine"]]
"""Words possible at each place of a sentence."""
# How far the mouth opens, how wide it is and how much the teeth show, for each letter.
POSES = {
    "a": (0.9, 0.8, 0.3), "b": (0.0, 0.7, 0.0), "d": (0.3, 0.8, 0.9), "e": (0.5, 1.0, 0.6),
    "g": (0.5, 0.7, 0.2), "i": (0.3, 1.1, 0.7), "l": (0.6, 0.8, 0.8), "n": (0.2, 0.9, 0.5),
    "o": (0.8, 0.4, 0.0), "r": (0.4, 0.5, 0.3), "s": (0.1, 1.0, 1.0), "t": (0.2, 0.8, 1.0),
    "u": (0.4, 0.3, 0.0), "w": (0.1, 0.2, 0.0), "y": (0.3, 1.0, 0.3),
}  # fmt: skip
REST = (0.02, 0.75, 0.0)
FRAME_RATE = 25.0
FEATURES = 12
_SEED = 20170820


@dataclass(frozen=True)
class Speaker:
    """What a generated speaker looks and moves like.

    Attributes:
        width: Of the mouth at rest, of half the frame.
        height: Of the open mouth, of half the frame.
        lips: Thickness of the lips, of half the frame.
        x: Center of the mouth, of half the frame.
        y: The same, downwards.
        skin: Gray value of the skin, 0 to 1; the other three are below it.
        lip: Gray value of the lips.
        dark: Gray value of the open mouth.
        shadow: How much darker the frame's lower edge is.
        tempo: Frames a letter.
        lag: How much of the last frame's pose stays in the next.
        spread: How much the mouth's width changes.
        voice: Offset of the sound's features (FEATURES,).
    """

    width: float
    height: float
    lips: float
    x: float
    y: float
    skin: float
    lip: float
    dark: float
    shadow: float
    tempo: float
    lag: float
    spread: float
    voice: np.ndarray


def make_speaker(number: int) -> Speaker:
    """A speaker, always the same for the same number."""
    random = np.random.default_rng([_SEED, 1, number])
    skin = random.uniform(0.5, 0.9)
    return Speaker(
        width=random.uniform(0.45, 0.75),
        height=random.uniform(0.35, 0.6),
        lips=random.uniform(0.08, 0.2),
        x=random.uniform(-0.12, 0.12),
        y=random.uniform(-0.15, 0.15),
        skin=skin,
        lip=skin * random.uniform(0.5, 0.85),
        dark=skin * random.uniform(0.1, 0.35),
        shadow=random.uniform(0.0, 0.3),
        tempo=random.uniform(2.8, 4.2),
        lag=random.uniform(0.1, 0.5),
        spread=random.uniform(0.6, 1.2),
        voice=random.normal(0, 0.7, FEATURES),
    )


def speak(text: str, speaker: Speaker, random: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    """The poses of a mouth that says words.

    Args:
        text: Words between spaces, of the letters in `POSES`.
        speaker: Who speaks.
        random: Varies the tempo and the poses.

    Returns:
        (T, 3), opening, width and teeth in each frame; and which letter is spoken, -1 for none.
    """
    poses: list[tuple[float, float, float]] = []
    letters: list[int] = []
    alphabet = sorted(POSES)
    for letter in f" {text} ":
        frames = max(2, round(speaker.tempo * random.uniform(0.8, 1.2)))
        if letter == " ":
            frames = 2
        pose = np.array(POSES.get(letter, REST)) + random.normal(0, 0.04, 3)
        poses += [tuple(pose)] * frames
        letters += [alphabet.index(letter) if letter in POSES else -1] * frames
    path = np.array(poses)
    for now in range(1, len(path)):  # the mouth moves, it does not jump
        path[now] += speaker.lag * (path[now - 1] - path[now])
    path[:, 1] = REST[1] + speaker.spread * (path[:, 1] - REST[1])
    return path.clip(0, 1.2), letters


def draw(
    path: np.ndarray, speaker: Speaker, size: Sequence[int], random: np.random.Generator
) -> np.ndarray:
    """Pictures of a mouth in the poses (T, 3).

    Returns:
        uint8 (T, H, W).
    """
    y, x = np.meshgrid(*[np.linspace(-1, 1, length) for length in size], indexing="ij")
    shift = random.normal(0, 0.02, 2)
    x = x - speaker.x - shift[0]
    y = y - speaker.y - shift[1]
    opening, wide, teeth = (path[:, k, None, None] for k in range(3))
    half_width = speaker.width * (0.4 + 0.6 * wide)
    half_height = 0.02 + speaker.height * opening

    def ellipse(margin: float) -> np.ndarray:
        radius = (x / (half_width + margin)) ** 2 + (y / (half_height + margin)) ** 2
        inside: np.ndarray = expit(8 * (1 - radius))
        return inside

    def over(below: np.ndarray, gray: np.ndarray | float, weight: np.ndarray) -> np.ndarray:
        blended: np.ndarray = below + (gray - below) * weight
        return blended

    frame = np.broadcast_to(
        speaker.skin * (1 - speaker.shadow * (y + 1) / 2), wide.shape[:1] + y.shape
    )
    frame = over(frame, speaker.lip, ellipse(speaker.lips))
    inside = ellipse(0.0)
    frame = over(frame, speaker.dark, inside)
    upper = expit(-20 * (y + 0.3 * half_height))
    frame = over(frame, speaker.skin * 1.1, inside * upper * teeth)
    frame = frame + random.normal(0, 0.02, frame.shape)
    return (255 * frame).round().clip(0, 255).astype(np.uint8)


def sound(letters: Sequence[int], speaker: Speaker, random: np.random.Generator) -> np.ndarray:
    """Features of what is heard, two for each frame of the video.

    Returns:
        float32 (2 T, FEATURES).
    """
    voices = np.random.default_rng([_SEED, 2]).normal(0, 1, (len(POSES) + 1, FEATURES))
    heard = np.repeat(voices[np.asarray(letters)], 2, axis=0)  # -1, silence, is the last
    noise = random.normal(0, 0.5, heard.shape)
    features: np.ndarray = (heard + speaker.voice + noise).astype(np.float32)
    return features


class TalkingMouths(LipDataModule):
    """Generated mouths whose speakers differ in shape, contrast and motion.

    The clips are always the same ones, a quarter of each speaker's held out. Nine words, or
    sentences of three of them. Never quoted as a result.

    Args:
        batch_size: Clips in a batch, on each device; with a target, so many of each half.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, and of which target clips are taken.
        split: ``multi-speaker``, ``speaker:NAME``, ``leave-out:NAME``, ``A,B->C`` or ``all``;
            the speakers are m1, m2, ...
        target: Let training batches carry unlabelled clips of the target speakers.
        target_seconds: How much video of the target may be looked at; without, all there is.
        adaptation: ``inductive``: the target's clips that may be looked at are not tested on;
            ``transductive``: all of them are both.
        all_of_source: Where there is a target, train on the held-out clips of the source too.
        test_on: ``target``, or ``source`` to test the held-out clips of the source.
        val_fraction: Share of the training clips held out for validation.
        normalization: Pixel by pixel, with the mean and deviation of all training clips
            (``global``), of the same speaker's (``speaker``) or of the clip (``clip``).
        size: Height and width of the frames.
        audio: Add features of a generated sound.
        unit: ``word`` or ``sentence``.
        tokens: What a sentence is written in, ``characters`` or ``words``.
        num_speakers: How many speakers there are.
        repetitions: How often each says every word; 4 or more.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {
        "size": [10, 16],
        "num_speakers": 3,
        "repetitions": 4,
    }

    def __init__(
        self,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "multi-speaker",
        target: bool = False,
        target_seconds: float | None = None,
        adaptation: Adaptation = "inductive",
        all_of_source: bool = False,
        test_on: TestOn = "target",
        val_fraction: float = 0.1,
        normalization: Normalization = "global",
        size: list[int] | None = None,
        audio: bool = False,
        unit: Unit = "word",
        tokens: Tokens = "characters",
        num_speakers: int = 6,
        repetitions: int = 8,
    ) -> None:
        super().__init__(
            "the talking mouths",
            batch_size,
            num_workers,
            seed,
            split,
            target=target,
            target_seconds=target_seconds,
            adaptation=adaptation,
            all_of_source=all_of_source,
            test_on=test_on,
            val_fraction=val_fraction,
            normalization=normalization,
            size=[20, 32] if size is None else size,
            audio=audio,
        )
        check_units(unit, tokens)
        at_least("num_speakers", num_speakers, 1)
        at_least("repetitions", repetitions, 4)
        self.unit = unit
        self.tokens = tokens
        self.num_speakers = num_speakers
        self.repetitions = repetitions

    def _speakers(self) -> list[str]:
        return [f"m{number + 1}" for number in range(self.num_speakers)]

    def _list(self, speakers: Sequence[str], split: Split) -> Listing:
        words = [word for place in GRAMMAR for word in place]
        vocabulary = Vocabulary(words, self.tokens)
        clips = []
        for number, name in enumerate(speakers):
            if name not in split.speakers:
                continue
            speaker = make_speaker(number)
            for index, text in enumerate(self._texts(number, words)):
                random = np.random.default_rng([_SEED, 3, self.unit == "word", number, index])
                path, letters = speak(text, speaker, random)
                video = draw(path, speaker, self.size, random)
                clips.append(
                    Clip(
                        f"{name} {text} {index}",
                        number,
                        index % 4 == 3,
                        len(video),
                        partial(np.asarray, video),
                        words.index(text) if self.unit == "word" else 0,
                        None if self.unit == "word" else vocabulary.encode(text.split()),
                        partial(np.asarray, sound(letters, speaker, random))
                        if self.audio
                        else None,
                    )
                )
        named = words if self.unit == "word" else vocabulary.symbols
        grammar = None if self.unit == "word" else GRAMMAR
        return Listing(
            clips,
            FRAME_RATE,
            named,
            {"method": "generated"},
            grammar,
            audio_size=FEATURES if self.audio else None,
            sound="generated" if self.audio else None,
        )

    def _texts(self, number: int, words: Sequence[str]) -> Iterator[str]:
        """What a speaker says: every word so often, or as many sentences as that are words."""
        random = np.random.default_rng([_SEED, 4, number])
        if self.unit == "word":
            # Repetition by repetition of a word, so that every fourth is one of each.
            yield from (word for word in words for _ in range(self.repetitions))
            return
        for _ in range(3 * self.repetitions):
            yield " ".join(str(random.choice(place)) for place in GRAMMAR)
