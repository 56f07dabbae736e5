"""The GRID audiovisual sentence corpus."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.console import Console
from rich.progress import track

from zoo.plugin import UsageError, within
from zoo_lipreading.data.align import GRAMMAR, WORDS, segments, transcript
from zoo_lipreading.data.batches import Clip
from zoo_lipreading.data.error_collector import ErrorCollector
from zoo_lipreading.data.grid_files import GridFiles, find_grid
from zoo_lipreading.data.module import LipDataModule, Listing
from zoo_lipreading.data.normalization import Normalization
from zoo_lipreading.data.splits import SPLIT_SEED, Adaptation, Split, TestOn
from zoo_lipreading.data.symbols import Tokens, Unit, Vocabulary, check_units
from zoo_lipreading.errors import LeftOutError
from zoo_lipreading.video.cache import default_folder
from zoo_lipreading.video.face import require_trusted
from zoo_lipreading.video.mouths import Mouths, Sounds, stored
from zoo_lipreading.video.sound import FEATURES

FRAME_RATE = 25.0
MANY = 20
"""Clips of a speaker from which on there is a progress bar."""
VECTORS = 2
"""Of sound, for each frame."""
MAX_GAP = 0.2
"""By how many seconds sound and frames may differ in length."""
UNSEEN = ("s1", "s2", "s20", "s22")
"""LipNet's test speakers."""
OVERLAPPED = 255
"""Clips of each speaker that LipNet's other split holds out."""


@dataclass(frozen=True)
class Recording:
    """A sentence of a speaker, prepared.

    Attributes:
        name: The speaker's name.
        code: The file's name.
        speaker: Index of the speaker.
        held_out: Whether it is a test clip.
        mouth: The stored mouth.
        sound: The stored features of its sound, two vectors for each frame.
    """

    name: str
    code: str
    speaker: int
    held_out: bool
    mouth: Path
    sound: Path | None

    def frames(self, video: Path) -> int:
        """Length of the video.

        Raises:
            UsageError: the sound is of another length.
        """
        frames = len(np.load(self.mouth, mmap_mode="r"))
        if self.sound is not None:
            heard = len(np.load(self.sound, mmap_mode="r")) / (VECTORS * FRAME_RATE)
            if abs(heard - frames / FRAME_RATE) > MAX_GAP:
                raise UsageError(
                    f"{video}: its sound lasts {heard:.2f} s and its frames "
                    f"{frames / FRAME_RATE:.2f} s; they may differ by {MAX_GAP} s"
                )
        return frames

    def clip(self, start: int, stop: int, word: str = "", **content: Any) -> Clip:
        """The frames from ``start`` to before ``stop``, with what is said in them.

        Raises:
            UsageError: the sound has ended by then.
        """
        whole = f"{self.name}/{self.code}"
        sound = None
        if self.sound is not None:
            if VECTORS * start >= len(np.load(self.sound, mmap_mode="r")):
                raise UsageError(f"{whole}: its sound ends before {word!r} at frame {start}")
            sound = stored(self.sound, VECTORS * start, VECTORS * stop)
        return Clip(
            f"{whole} {word}".strip(),
            self.speaker,
            self.held_out,
            stop - start,
            stored(self.mouth, start, stop),
            audio=sound,
            recording=whole,
            whole=stored(self.mouth),
            whole_audio=None if self.sound is None else stored(self.sound),
            **content,
        )


class Grid(LipDataModule):
    """GRID, read in place: its videos or image sequences, and its alignments.

    A clip is a sentence of six words, which its file's name spells; with ``unit: word`` the
    alignments cut it into words, the end frame included. Mouths are found and cropped once, and
    kept in ``cache``. Clips without a face, gray ones and, of words, those without an alignment are
    left out, listed in a warning and counted in the fact ``skipped_clips``.

    Of a target's clips to adapt to, ``unit: word`` takes the times of the words from the
    alignments, but not the words. A target's clips without an alignment, and its videos that are
    not named as GRID's (``s35/video/anything.mp4``), are adapted to all the same, cut into pieces
    as long as the source's words; they are never tested.

    Source: Cooke, Barker, Cunningham, Shao: An audio-visual corpus for speech perception and
    automatic speech recognition, Journal of the Acoustical Society of America 120(5), 2006;
    Assael, Shillingford, Whiteson, de Freitas: LipNet, 2016 (arXiv:1611.01599), for the splits
    ``unseen`` and ``overlapped``.

    Args:
        root: The folder that holds the speakers' folders, s1 to s34.
        batch_size: Clips in a batch, on each device; with a target, so many of each half.
        num_workers: Processes that prepare training batches, and threads that crop mouths.
        seed: Seed of the order, and of which target clips are taken; the split does not depend
            on it.
        split: ``multi-speaker`` (by clip), ``speaker:NAME``, ``leave-out:NAME``, ``A,B->C``,
            ``1->next:NAME``, ``4->next:NAME`` and ``8->next:NAME`` (so many speakers from NAME
            on, and the one after them), ``unseen``, ``overlapped`` or ``all``.
        target: Let training batches carry unlabelled clips of the target speakers.
        target_seconds: How much video of the target may be looked at; without, all there is.
        adaptation: ``inductive`` tests the target on its held-out clips only; ``transductive``
            looks at and tests on all of them.
        all_of_source: Where there is a target, train on the held-out clips of the source too.
        test_on: ``target``, or ``source`` to test the held-out clips of the source.
        val_fraction: Share of the training clips held out for validation, always the same ones.
        test_fraction: Share of each speaker's sentences held out for testing, always the same
            ones; ``overlapped`` holds out 255.
        normalization: Pixel by pixel, with the mean and deviation of all training clips
            (``global``), of the same speaker's (``speaker``, an unsupervised adaptation) or of
            the sentence (``clip``).
        size: Height and width of the mouths.
        audio: Add mel-frequency cepstral coefficients of the sound and their slopes, 26 features
            every 20 ms.
        unit: ``word`` or ``sentence``.
        tokens: What a sentence is written in, ``characters`` or ``words``.
        finder: What finds the mouth: ``haar``; ``whole`` for images that are mouths already; or
            a function of yours as ``package.module:function``.
        cache: Folder where mouths are kept, 3 kB a frame at the default size; without,
            ``zoo/mouths`` in the user's cache folder (``$XDG_CACHE_HOME`` or ``~/.cache``).
        skip_faulty: Leave files out that cannot be used, instead of refusing all.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {"size": [10, 20]}

    def __init__(
        self,
        root: str = "data/grid",
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
        test_fraction: float = 0.2,
        normalization: Normalization = "global",
        size: list[int] | None = None,
        audio: bool = False,
        unit: Unit = "word",
        tokens: Tokens = "characters",
        finder: str = "haar",
        cache: str | None = None,
        skip_faulty: bool = False,
    ) -> None:
        super().__init__(
            root,
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
            size=[40, 80] if size is None else size,
            audio=audio,
        )
        check_units(unit, tokens)
        within("test_fraction", test_fraction, 0, 1, below=True)
        self.test_fraction = test_fraction
        self.unit = unit
        self.tokens: Tokens = tokens
        require_trusted(finder)
        self.finder = finder
        self.cache = cache
        self.skip_faulty = skip_faulty
        self._files: GridFiles | None = None

    def _speakers(self) -> list[str]:
        root = Path(self.root)
        if not root.is_dir():
            raise UsageError(
                f"there is no {root}; point --data.root at the folder of GRID that holds s1, s2, "
                "and so on"
            )
        self._files = find_grid(root)
        if not self._files.speakers:
            raise UsageError(
                f"{root} has no clip of GRID, such as s1/video/bbaf2n.mpg; point --data.root at "
                "the folder that holds s1, s2, ..."
            )
        return self._files.speakers

    def _named_splits(self, speakers: Sequence[str]) -> Mapping[str, Split]:
        unseen = tuple(name for name in UNSEEN if name in speakers)
        named = {
            "unseen": Split(tuple(name for name in speakers if name not in unseen), unseen),
            "overlapped": Split(tuple(speakers)),
        }
        for count in (1, 4, 8):
            for first in range(len(speakers) - count):
                sources = tuple(speakers[first : first + count])
                split = Split(sources, (speakers[first + count],))
                named[f"{count}->next:{speakers[first]}"] = split
        return named

    def _list(self, speakers: Sequence[str], split: Split) -> Listing:
        assert self._files is not None
        folder = default_folder() if self.cache is None else Path(self.cache)
        mouths = Mouths(self.size, self.finder, cache=folder)
        sounds = Sounds(cache=folder) if self.audio else None
        errors = ErrorCollector(self.root, self.skip_faulty)
        vocabulary = Vocabulary(WORDS, self.tokens)
        clips: list[Clip] = []
        for name in split.speakers:
            to_adapt_to = bool(split.sources) and name in split.targets
            videos = dict(self._files.videos.get(name, {}))
            aligns = self._files.aligns.get(name, {})
            held_out = self._held_out(name, sorted(videos), aligns)
            if to_adapt_to:
                videos |= self._files.untranscribed.get(name, {})
            for code, files in self._prepare(videos, mouths, sounds, errors).items():
                recording = Recording(name, code, speakers.index(name), code in held_out, *files)
                with errors.of(videos[code]):
                    align = aligns.get(code)
                    if to_adapt_to and (not transcript(code) or (self._words and align is None)):
                        clips += self._windows(recording, videos[code], clips)
                    else:
                        clips += self._cut(recording, videos[code], align, vocabulary)
        return Listing(
            clips,
            FRAME_RATE,
            WORDS if self._words else vocabulary.symbols,
            mouths.parameters,
            GRAMMAR,
            errors.report(),
            FEATURES if self.audio else None,
            "mfcc" if self.audio else None,
        )

    def _cut(
        self, recording: Recording, video: Path, align: Path | None, vocabulary: Vocabulary
    ) -> list[Clip]:
        """The clips of a sentence: itself, or its words.

        Raises:
            LeftOutError: words have no alignment.
            UsageError: the alignment does not fit the clip, or the sound does not.
        """
        words = transcript(recording.code)
        assert words is not None
        frames = recording.frames(video)
        # A sentence needs no alignment, but a wrong one is wrong.
        parts = segments(align, frames, words) if align else []
        if not self._words:
            return [recording.clip(0, frames, targets=vocabulary.encode(words))]
        if align is None:
            raise LeftOutError(
                f"{video}: there is no {recording.code}.align, without which its words cannot be "
                "told apart (--data.unit sentence needs none)"
            )
        return [
            recording.clip(part.first, part.last + 1, part.word, label=WORDS.index(part.word))
            for part in parts
        ]

    def _windows(self, recording: Recording, video: Path, words: Sequence[Clip]) -> list[Clip]:
        """An untranscribed clip: whole, or in pieces as long as words are.

        Args:
            recording: The clip.
            video: Its file.
            words: Those cut so far, of the source speakers.
        """
        frames = recording.frames(video)
        if recording.sound is not None:  # which may end a little before the frames
            frames = min(frames, len(np.load(recording.sound, mmap_mode="r")) // VECTORS)
        lengths = [clip.frames for clip in words if clip.transcribed]
        random = np.random.default_rng([SPLIT_SEED, *recording.code.encode()])
        found: list[Clip] = []
        start = 0
        while start < frames:
            length = int(random.choice(lengths)) if self._words and lengths else frames
            stop = min(start + length, frames)
            found.append(recording.clip(start, stop, str(start), transcribed=False))
            start = stop
        return found

    @property
    def _words(self) -> bool:
        return self.unit == "word"

    def _prepare(
        self,
        videos: Mapping[str, Path],
        mouths: Mouths,
        sounds: Sounds | None,
        errors: ErrorCollector,
    ) -> dict[str, tuple[Path, Path | None]]:
        """The stored mouth and sound of every clip that has them, by code."""

        def make(video: Path) -> tuple[Path, Path | None]:
            return mouths.file(video), sounds.file(video) if sounds else None

        files = {}
        # Decoding and OpenCV let other threads run.
        with ThreadPoolExecutor(max(1, self.num_workers)) as pool:
            found = {code: pool.submit(make, videos[code]) for code in sorted(videos)}
            shown = track(
                found.items(),
                "finding mouths",
                console=Console(stderr=True),
                transient=True,
                disable=len(videos) < MANY or not sys.stderr.isatty(),
            )
            for code, future in shown:
                with errors.of(videos[code]):
                    files[code] = future.result()
        return files

    def _held_out(
        self, speaker: str, codes: Sequence[str], aligns: Collection[str] = ()
    ) -> set[str]:
        """Codes of the sentences that are a speaker's test clips."""
        count = round(len(codes) * self.test_fraction)
        if self.split == "overlapped":
            count = OVERLAPPED
            if len(codes) <= count:
                raise UsageError(
                    f"the split 'overlapped' holds out {count} clips of each speaker, and "
                    f"{self.root} has {len(codes)} of {speaker}; use multi-speaker with a sample"
                )
        elif self.test_fraction and len(codes) > 1:
            count = min(max(1, count), len(codes) - 1)
        order = np.random.default_rng([SPLIT_SEED, int(speaker[1:])]).permutation(len(codes))
        shuffled = [codes[index] for index in order]
        if self._words:  # what has no alignment cannot be tested
            shuffled.sort(key=lambda code: code not in aligns)
        return set(shuffled[:count])
