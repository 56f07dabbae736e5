"""AVLetters: the letters A to Z, three times by each of ten speakers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from scipy.io import loadmat

from zoo.plugin import UsageError
from zoo_lipreading.data.batches import Clip
from zoo_lipreading.data.error_collector import ErrorCollector
from zoo_lipreading.data.htk import read_htk
from zoo_lipreading.data.module import LipDataModule, Listing
from zoo_lipreading.data.normalization import Normalization
from zoo_lipreading.data.splits import Adaptation, Split, TestOn

LETTERS = [chr(ord("A") + index) for index in range(26)]
HEIGHT, WIDTH = 60, 80
FRAME_RATE = 25.0
HELD_OUT = 3
"""The repetition that is tested on."""
FEATURES = 26
MAX_GAP = 0.2
"""By how many seconds sound and video may differ in length."""
NAME = re.compile(r"([A-Z])(\d+)_(\w+)-lips\.mat")


class AVLetters(LipDataModule):
    """AVLetters, read in place: ``Lips/A1_Anya-lips.mat``, ``Audio/mfcc/Clean/A1_Anya.mfcc``.

    Repetitions 1 and 2 are a speaker's training clips, 3 is held out.

    Source: Matthews, Cootes, Bangham, Cox, Harvey: Extraction of Visual Features for Lipreading,
    IEEE Transactions on Pattern Analysis and Machine Intelligence 24(2), 2002.

    Args:
        root: The folder that holds ``Lips``.
        batch_size: Clips in a batch, on each device; with a target, so many of each half.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, and of which target clips are taken; the split does not depend
            on it.
        split: ``multi-speaker``, ``speaker:NAME``, ``leave-out:NAME``, ``A,B->C`` or ``all``,
            such as ``leave-out:Anya`` or ``Anya,Bill->Faye``.
        target: Let training batches carry unlabelled clips of the target speakers.
        target_seconds: How much video of the target may be looked at; without, all there is.
        adaptation: ``inductive`` looks at the target's repetitions 1 and 2 without labels and
            tests on 3; ``transductive`` looks at and tests on all three.
        all_of_source: Where there is a target, train on repetition 3 of the source too.
        test_on: ``target``, or ``source`` to test repetition 3 of the source.
        val_fraction: Share of the training clips held out for validation, always the same ones.
        normalization: Pixel by pixel, with the mean and deviation of all training clips
            (``global``), of the same speaker's (``speaker``, an unsupervised adaptation) or of
            the clip (``clip``).
        size: Height and width the frames of 60 x 80 are brought to.
        audio: Add the 26 mel-frequency cepstral coefficients, of which a frame is 20 ms.
        skip_faulty: Leave files out that cannot be used, instead of refusing all.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {"size": [12, 16]}

    def __init__(
        self,
        root: str = "data/avletters",
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
            size=[30, 40] if size is None else size,
            audio=audio,
        )
        self.skip_faulty = skip_faulty

    def _files(self) -> list[tuple[Path, str, int, str]]:
        """Every video with its letter, repetition and speaker."""
        folder = Path(self.root) / "Lips"
        if not folder.is_dir():
            raise UsageError(
                f"there is no {folder}; point --data.root at the folder of AVLetters that holds "
                "Lips (and Audio)"
            )
        matches = [(path, NAME.fullmatch(path.name)) for path in sorted(folder.glob("*.mat"))]
        found = [(path, m[1], int(m[2]), m[3]) for path, m in matches if m]
        if not found:
            raise UsageError(
                f"no file in {folder} is named as A1_Anya-lips.mat is; fetch AVLetters again"
            )
        return found

    def _speakers(self) -> list[str]:
        return sorted({speaker for *_, speaker in self._files()})

    def _list(self, speakers: Sequence[str], split: Split) -> Listing:
        errors = ErrorCollector(self.root, self.skip_faulty)
        clips = []
        for path, letter, repetition, speaker in self._files():
            if speaker not in split.speakers:
                continue
            with errors.of(path):
                video = read_lips(path, self.size)
                clips.append(
                    Clip(
                        path.name,
                        speakers.index(speaker),
                        repetition >= HELD_OUT,
                        len(video),
                        partial(np.asarray, video),
                        LETTERS.index(letter),
                        audio=self._sound(path, len(video)) if self.audio else None,
                    )
                )
        skipped = errors.report()
        crop = {"method": "publisher", "size": [HEIGHT, WIDTH]}
        return Listing(
            clips,
            FRAME_RATE,
            LETTERS,
            crop,
            skipped=skipped,
            audio_size=FEATURES if self.audio else None,
            sound="publisher" if self.audio else None,
        )

    def _sound(self, video: Path, frames: int) -> Callable[[], np.ndarray]:
        """Read, so that what is wrong is found now."""
        return partial(np.asarray, read_mfcc(video, frames / FRAME_RATE))


def read_mfcc(video: Path, seconds: float) -> np.ndarray:
    """The features of the sound that goes with a file of AVLetters.

    Args:
        video: ``Lips/A1_Anya-lips.mat``, whose sound is ``Audio/mfcc/Clean/A1_Anya.mfcc``.
        seconds: How long it lasts.

    Returns:
        float32 (frames of 20 ms, 26).

    Raises:
        UsageError: it is unreadable, has other than 26 features, or is of another length than
            the video.
    """
    name = video.name.replace("-lips.mat", ".mfcc")
    path = video.parent.parent / "Audio" / "mfcc" / "Clean" / name
    features, period = read_htk(path)
    if features.shape[1] != FEATURES:
        raise UsageError(f"{path} has {features.shape[1]} features; AVLetters has {FEATURES}")
    if abs(len(features) * period - seconds) > MAX_GAP:
        raise UsageError(
            f"{path} lasts {len(features) * period:.2f} s and {video} {seconds:.2f} s; they may "
            f"differ by {MAX_GAP} s"
        )
    return features


def read_lips(path: Path, size: Sequence[int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """The mouth images of a file of AVLetters.

    Args:
        path: A MATLAB file with ``vid``, uint8 (4800, T), each column a frame of 60 rows and 80
            columns, row by row of its transpose.
        size: Height and width to bring them to, by averaging areas.

    Returns:
        uint8 (T, H, W).

    Raises:
        UsageError: the file is unreadable, has no ``vid``, or one of another kind.
    """
    try:
        content = loadmat(path, variable_names=["vid"])
    except Exception as error:
        raise UsageError(f"{path} is not a readable MATLAB file ({error})") from error
    if "vid" not in content:
        raise UsageError(f"{path} holds no variable 'vid'; a file of AVLetters does")
    vid = content["vid"]
    if vid.dtype != np.uint8 or vid.ndim != 2 or vid.shape[0] != HEIGHT * WIDTH or not vid.shape[1]:
        raise UsageError(
            f"{path}: 'vid' is {vid.dtype} of {' x '.join(map(str, vid.shape))}; it takes uint8 of "
            f"{HEIGHT * WIDTH} x frames"
        )
    frames = vid.T.reshape(-1, WIDTH, HEIGHT).transpose(0, 2, 1)
    return resize(frames, size)


def resize(frames: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Bring frames uint8 (T, H, W) to a height and width, by averaging areas."""
    if tuple(size) == frames.shape[1:]:
        return np.ascontiguousarray(frames)
    height, width = size
    return np.stack(
        [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    )
