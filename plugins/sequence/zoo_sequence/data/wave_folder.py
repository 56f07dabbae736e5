"""Recordings of one's own with a table of what is said in them."""

from __future__ import annotations

from typing import Literal

from zoo_sequence.data.transcribed_folder import TranscribedFolder
from zoo_sequence.sound import FrontEnd


class WaveFolder(TranscribedFolder):
    """A folder of .wav files and a table, ``transcripts.csv``, with the columns ``file`` and
    ``text``, and, where they are known, ``speaker`` and ``part`` (train, val or test).

    Recordings are averaged over their channels and resampled to ``rate``, which the line at the
    start of a training says. Without a column ``part``, speakers (of a table without speakers,
    recordings) are divided at random, always in the same way.

    Args:
        root: The folder.
        batch_size: Recordings of a training step.
        num_workers: Processes that compute frames.
        seed: Of order and augmentation; the parts do not depend on it.
        split: ``standard``; of ``all`` everything is the test part.
        table: The name of the table in the folder.
        unit: What a symbol is: ``characters`` or ``words`` of the text.
        symbols: All there are; those of the texts, if None. A text with another is refused.
        val_fraction: Share that is the validation.
        test_fraction: Share that is the test.
        rate: Samples a second to which recordings are brought.
        cepstra: Coefficients of a frame, their differences not counted.
        stack: Neighboring frames of 10 ms joined into one.
        warp: In training the frequencies are stretched by a random factor up to this from 1.
        tempo: In training the speed is changed by a random factor up to this from 1.

    Raises:
        UsageError: an argument is out of its range.
    """

    _remedy = "--data.stack"

    def __init__(
        self,
        root: str = "data/wave-folder",
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        table: str = "transcripts.csv",
        unit: Literal["characters", "words"] = "words",
        symbols: list[str] | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        rate: int = 8000,
        cepstra: int = 13,
        stack: int = 2,
        warp: float = 0.1,
        tempo: float = 0.1,
    ) -> None:
        super().__init__(
            root,
            batch_size,
            num_workers,
            seed,
            split,
            table,
            unit,
            symbols,
            val_fraction,
            test_fraction,
            FrontEnd(rate=rate, cepstra=cepstra, stack=stack),
            warp,
            tempo,
        )
