"""What all lipreading datasets share: splits, normalization, loaders, facts."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch.utils.data import DataLoader

from zoo.plugin import (
    BaseDataModule,
    Facts,
    FoldSamples,
    Part,
    UsageError,
    above,
    at_least,
    one_of,
    rename_keys,
    require,
    within,
)
from zoo_lipreading.data.batches import Batch, Clip, ClipLoader, Clips, PairedClips, collate
from zoo_lipreading.data.normalization import (
    MODES,
    Normalization,
    Normalizer,
    Statistics,
    statistics,
    to_text,
)
from zoo_lipreading.data.splits import (
    ADAPTATIONS,
    TEST_ON,
    Adaptation,
    Parts,
    Split,
    TestOn,
    divide,
    first_seconds,
    parse_split,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """What there is under a root.

    Attributes:
        clips: In the publisher's order; of sentences all have ``targets``.
        frame_rate: Frames a second.
        label_names: The words to tell apart; of sentences what their symbols mean, first that of
            CTC's blank.
        crop: How a video became a mouth, for the bundle's readers.
        grammar: Of sentences, the words possible at each place.
        skipped: Clips left out, with the reasons.
        audio_size: Features of a vector of sound, if the clips have any.
        sound: Where these come from, for the bundle's readers: ``publisher`` or ``mfcc``.
    """

    clips: list[Clip]
    frame_rate: float
    label_names: list[str]
    crop: dict[str, Any]
    grammar: list[list[str]] | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    audio_size: int | None = None
    sound: str | None = None


class LipDataModule(BaseDataModule[list[Clip]]):
    """Base of the lipreading datasets: a subclass says who speaks and which clips there are.

    For the batches see ``zoo_lipreading.data.batches``, for the splits
    ``zoo_lipreading.data.splits``.

    Args:
        root: Where the files are.
        batch_size: Clips in a batch, on each device; with a target, so many of each half.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, and of which target clips are taken; the split does not depend
            on it.
        split: Who is trained on and who is tested.
        target: Let training batches carry unlabelled clips of the target speakers.
        target_seconds: How much video of the target may be looked at; without, all there is.
        adaptation: ``inductive``: the target's clips that may be looked at are not tested on;
            ``transductive``: all of them are both.
        all_of_source: Where there is a target, train on the held-out clips of the source too.
        test_on: ``target``, or ``source`` to test the held-out clips of the source.
        val_fraction: Share of the training clips held out for validation.
        normalization: ``global``, ``speaker`` or ``clip``.
        size: Height and width of the frames.
        audio: Add the features of the sound.

    Raises:
        UsageError: an argument is out of its range.
    """

    splits = None
    sample_name = "clip"

    def __init__(
        self,
        root: str,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "multi-speaker",
        *,
        target: bool = False,
        target_seconds: float | None = None,
        adaptation: Adaptation = "inductive",
        all_of_source: bool = False,
        test_on: TestOn = "target",
        val_fraction: float = 0.1,
        normalization: Normalization = "global",
        size: Sequence[int] = (40, 80),
        audio: bool = False,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split)
        at_least("seed", seed, 0)
        if target_seconds is not None:
            above("target_seconds", target_seconds, 0)
        within("val_fraction", val_fraction, 0, 1, below=True)
        one_of("adaptation", adaptation, ADAPTATIONS)
        one_of("test_on", test_on, TEST_ON)
        one_of("normalization", normalization, MODES)
        require(
            len(size) == 2 and min(size) >= 1,
            f"size is {list(size)}; it takes height and width in pixels",
        )
        require(
            not (all_of_source and test_on == "source"),
            "with all_of_source no clip of the source is left to test on; omit one of "
            "all_of_source and test_on=source",
        )
        self.target = target
        self.target_seconds = target_seconds
        self.adaptation: Adaptation = adaptation
        self.all_of_source = all_of_source
        self.test_on: TestOn = test_on
        self.val_fraction = val_fraction
        self.normalization: Normalization = normalization
        self.size = [int(length) for length in size]
        self.audio = audio
        self._loaded: tuple[Parts, Normalizer, Facts] | None = None
        self._pool = FoldSamples([])

    @classmethod
    def upgrade_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments that zoo 0.1.0 saved, under today's names."""
        return rename_keys(arguments, {"normalisation": "normalization"})

    @abstractmethod
    def _speakers(self) -> list[str]:
        """Names of all speakers; called first.

        Raises:
            UsageError: there is none, with the path and the remedy.
        """

    @abstractmethod
    def _list(self, speakers: Sequence[str], split: Split) -> Listing:
        """Find the clips; called once.

        Args:
            speakers: All names; a clip's speaker is an index of it.
            split: Those whose clips are wanted.

        Raises:
            UsageError: something is missing or inconsistent.
        """

    def _named_splits(self, speakers: Sequence[str]) -> Mapping[str, Split]:
        """Further splits, by name."""
        return {}

    def _read(self) -> tuple[Parts, Normalizer, Facts]:
        if self._loaded is None:
            speakers = self._speakers()
            split = parse_split(self.split, speakers, self._named_splits(speakers), self.root)
            if self.target and split.sources and not split.targets:
                raise UsageError(
                    f"the split {self.split!r} has no target speaker to adapt to; use "
                    "leave-out:NAME or A,B->C, or set target to false"
                )
            listing = self._list(speakers, split)
            parts = divide(
                listing.clips,
                speakers,
                split,
                val_fraction=self.val_fraction,
                adaptation=self.adaptation,
                all_of_source=self.all_of_source,
                test_on=self.test_on,
            )
            self._pool = _fold_samples(listing, parts, speakers)
            if self.fold is not None:
                parts = _folded(parts, self.fold.is_val(self._pool, self.root))
            adapt = first_seconds(parts.adapt, self.target_seconds, listing.frame_rate, self.seed)
            parts = Parts(parts.train, parts.val, parts.test, adapt)
            self._require_parts(listing, split, parts)
            normalizer = self._normalizer(parts, speakers)
            self._loaded = parts, normalizer, self._describe(listing, parts, normalizer, speakers)
        return self._loaded

    def _require_parts(self, listing: Listing, split: Split, parts: Parts) -> None:
        """Refuse an empty part now, rather than after the training."""
        required = {"training": parts.train, "test": parts.test, "adaptation": parts.adapt}
        if not split.sources:
            del required["training"]
        if not self.target or not split.sources:
            del required["adaptation"]
        count = len(listing.skipped)
        note = f"; {count} were left out, see the warning" if count else ""
        for name, clips in required.items():
            if not clips:
                raise self.empty_part(name, note)

    def _normalizer(self, parts: Parts, speakers: Sequence[str]) -> Normalizer:
        """Statistics of the clips that may be looked at: training clips, and of the target
        those to adapt to; where there are no training clips, of all that are tested."""
        seen = parts.train or parts.test
        groups: dict[int | None, list[Clip]] = {}
        if self.normalization == "global":
            groups[None] = seen
        elif self.normalization == "speaker":
            for clip in (*seen, *parts.adapt):
                groups.setdefault(clip.speaker, []).append(clip)
            unseen = {clip.speaker for clip in (*parts.val, *parts.test)} - groups.keys()
            if unseen:
                names = ", ".join(speakers[each] for each in sorted(unseen))
                raise UsageError(
                    f"{self.root}: with split={self.split!r} there is no clip that may be "
                    f"looked at to normalize those of {names}; allow more target_seconds, or take "
                    "another normalization"
                )
        video: dict[int | None, Statistics] = {}
        audio: dict[int | None, Statistics] = {}
        for key, clips in groups.items():
            if not clips:
                continue
            video[key] = statistics((clip.read() for clip in clips), "video")
            heard = (clip.audio() for clip in clips if clip.audio is not None)
            if clips[0].audio is not None:
                audio[key] = statistics(heard, "audio")
        return Normalizer(self.normalization, video, audio)

    def _describe(
        self, listing: Listing, parts: Parts, normalizer: Normalizer, speakers: Sequence[str]
    ) -> Facts:
        preprocessing: dict[str, Any] = {
            "size": self.size,
            "normalization": self.normalization,
            "crop": listing.crop,
        }
        if listing.sound is not None:
            preprocessing["sound"] = listing.sound
        for kind, by_speaker in normalizer.statistics.items():
            if None in by_speaker:
                mean, std = by_speaker[None]
                preprocessing[f"{kind}_mean"] = to_text(mean)
                preprocessing[f"{kind}_std"] = to_text(std)
        facts: Facts = {
            "num_classes": len(listing.label_names),
            "label_names": listing.label_names,
            "speakers": list(speakers),
            "num_speakers": len(speakers),
            "image_size": self.size,
            "frame_rate": listing.frame_rate,
            "audio_size": listing.audio_size,
            "train_size": len(parts.train),
            "skipped_clips": len(listing.skipped),
            "preprocessing": preprocessing,
        }
        if listing.grammar is not None:
            facts["grammar"] = listing.grammar
        return facts

    @property
    def facts(self) -> Facts:
        """``num_classes``, ``label_names`` (of sentences those of the symbols, CTC's blank
        first), ``speakers`` (names), ``num_speakers``, ``image_size`` [H, W], ``frame_rate`` (a
        second), ``audio_size`` (features, or None), ``train_size`` (clips), ``skipped_clips``
        and ``preprocessing``; of sentences also ``grammar``, the words possible at each place.
        """
        return dict(self._read()[2])

    def describe_found(self) -> list[str]:
        """As of the base, with the speakers, what may be adapted to, and what was left out."""
        found = [*super().describe_found(), f"{self.facts['num_speakers']} speakers"]
        if self.target:
            found.append(f"{len(self.parts.adapt)} unlabelled clips of the target")
        if skipped := self.facts["skipped_clips"]:
            found.append(f"{skipped} clips left out")
        return found

    @property
    def parts(self) -> Parts:
        """All clips by their use."""
        return self._read()[0]

    def fold_samples(self) -> FoldSamples:
        """The labelled clips of the training and the validation part: their words, and who
        speaks. Words of one recording stay together."""
        self._read()
        return self._pool

    def samples(self, part: Part) -> list[Clip]:
        """The labelled clips of a part."""
        parts = self.parts
        return {"train": parts.train, "val": parts.val, "test": parts.test}[part]

    def train_loader(self, samples: list[Clip]) -> DataLoader[Batch]:
        """Labelled clips; with ``target`` each batch has as many unlabelled ones of the target."""
        parts, normalizer, _ = self._read()
        data = Clips(samples, normalizer)
        if self.target:
            if not parts.adapt:
                raise self.empty_part("adaptation")
            data = PairedClips(samples, parts.adapt, normalizer, self.seed)
        return self.loader(data, kind=ClipLoader, shuffle=True, collate_fn=collate)

    def eval_loader(self, samples: list[Clip]) -> DataLoader[Batch]:
        """Labelled clips in order."""
        data = Clips(samples, self._read()[1])
        return self.loader(data, kind=ClipLoader, num_workers=0, collate_fn=collate)


def _pool(parts: Parts) -> list[Clip]:
    """Training and validation clips, in an order that does not depend on which is which."""
    return sorted((*parts.train, *parts.val), key=lambda clip: (clip.speaker, clip.name))


def _fold_samples(listing: Listing, parts: Parts, speakers: Sequence[str]) -> FoldSamples:
    clips = _pool(parts)
    words = all(clip.targets is None for clip in clips)
    return FoldSamples(
        [clip.name for clip in clips],
        [listing.label_names[clip.label] for clip in clips] if words else None,
        [speakers[clip.speaker] for clip in clips],
        "speaker",
        [clip.recording or clip.name for clip in clips],
    )


def _folded(parts: Parts, is_val: Sequence[bool]) -> Parts:
    """The parts with training and validation divided as a fold says."""
    clips = list(zip(_pool(parts), is_val, strict=True))
    train, val = ([clip for clip, chosen in clips if chosen == val] for val in (False, True))
    return replace(parts, train=train, val=val)
