"""The files of a GRID folder, in the layouts there are."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from zoo_lipreading.data.align import transcript
from zoo_lipreading.video.decode import VIDEO_SUFFIXES

_SPEAKER = re.compile(r"s\d+")


@dataclass
class GridFiles:
    """What is there.

    Attributes:
        videos: By speaker and code: a video file or a folder of images.
        aligns: By speaker and code.
        untranscribed: Videos named otherwise, by speaker and name: nothing says what is said.
    """

    videos: dict[str, dict[str, Path]] = field(default_factory=dict)
    aligns: dict[str, dict[str, Path]] = field(default_factory=dict)
    untranscribed: dict[str, dict[str, Path]] = field(default_factory=dict)

    @property
    def speakers(self) -> list[str]:
        """Those of whom there are videos, s1, s2, ... s10."""
        return sorted({*self.videos, *self.untranscribed}, key=lambda name: int(name[1:]))


def find_grid(root: Path) -> GridFiles:
    """Find videos and alignments.

    A file belongs to the speaker whose name, ``s1`` to ``s34``, is the last such part of its
    path: ``s1/video/bbaf2n.mpg``, ``s1/bbaf2n.mpg``, ``video/s1/mpg_6000/bbaf2n.mpg`` and folders
    of images ``s1/bbaf2n/`` alike; so are ``s1/align/bbaf2n.align`` and
    ``alignments/s1/bbaf2n.align``. A video that is not named as a clip of GRID is untranscribed.
    """
    found = GridFiles()
    for folder, inside, names in os.walk(root):
        here = Path(folder)
        # The root itself may be a speaker's folder.
        speaker = _speaker(Path(root.resolve().name) / here.relative_to(root))
        # A folder of images is a clip; nothing is looked for in it.
        clips = {name for name in inside if transcript(name)}
        inside[:] = sorted(name for name in inside if name not in clips)
        if speaker is None:
            continue
        for name in sorted(clips):
            found.videos.setdefault(speaker, {}).setdefault(name, here / name)
        for name in sorted(names):
            code, suffix = Path(name).stem, Path(name).suffix
            if suffix.lower() in VIDEO_SUFFIXES:
                kind = found.videos if transcript(code) else found.untranscribed
                kind.setdefault(speaker, {}).setdefault(code, here / name)
            elif suffix.lower() == ".align" and transcript(code):
                found.aligns.setdefault(speaker, {}).setdefault(code, here / name)
    return found


def _speaker(path: Path) -> str | None:
    return next((part for part in reversed(path.parts) if _SPEAKER.fullmatch(part)), None)
