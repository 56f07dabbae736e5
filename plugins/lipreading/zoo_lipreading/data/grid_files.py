"""The files of a GRID folder, in the layouts there are."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zoo_lipreading.data.align import transcript
from zoo_lipreading.video.decode import VIDEO_SUFFIXES

log = logging.getLogger(__name__)
_SPEAKER = re.compile(r"(s\d+)(?:[._ -](?:processed|mpg|video|align|part).*)?", re.IGNORECASE)
_OF_SYSTEMS = ("__MACOSX", "$RECYCLE.BIN", "@eaDir")


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
    ``alignments/s1/bbaf2n.align``. ``S1``, ``s1_processed`` and ``s1.mpg_vcd`` are s1 too. A video
    that is not named as a clip of GRID is untranscribed. Hidden files are left alone, and what is
    found twice is read once; a warning says so.
    """
    found = GridFiles()
    twice: list[tuple[Path, Path]] = []
    renamed: dict[str, str] = {}

    def add(kind: dict[str, dict[str, Path]], speaker: str, code: str, path: Path) -> None:
        first = kind.setdefault(speaker, {}).setdefault(code, path)
        if first != path:
            twice.append((path, first))

    for here, clips, names in _folders(root):
        # The root itself may be a speaker's folder.
        part = _speaker(Path(root.resolve().name) / here.relative_to(root))
        if part is None:
            continue
        match = _SPEAKER.fullmatch(part)
        assert match is not None
        speaker = match[1].lower()
        if part != speaker:
            renamed[part] = speaker
        for name in clips:
            add(found.videos, speaker, name.lower(), here / name)
        for name in names:
            code, suffix = Path(name).stem, Path(name).suffix.lower()
            named = transcript(code) is not None
            if suffix in VIDEO_SUFFIXES:
                kind = found.videos if named else found.untranscribed
                add(kind, speaker, code.lower() if named else code, here / name)
            elif suffix == ".align" and named:
                add(found.aligns, speaker, code.lower(), here / name)
    _tell(root, twice, renamed)
    return found


def _folders(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Every folder with the names of the clips that are folders of images in it, and its files.

    Links are followed, and a folder that is reached twice, as by a link to one above, is entered
    once.
    """
    entered: set[str] = set()
    for folder, inside, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            inside.clear()
            continue
        entered.add(real)
        seen = sorted(name for name in inside if not _is_hidden(name))
        # A folder of images is a clip; nothing is looked for in it.
        clips = [name for name in seen if transcript(name)]
        inside[:] = [name for name in seen if not transcript(name)]
        yield Path(folder), clips, sorted(name for name in names if not _is_hidden(name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _OF_SYSTEMS


def _tell(root: Path, twice: list[tuple[Path, Path]], renamed: dict[str, str]) -> None:
    """Say once what was assumed of a folder."""
    if renamed:
        listed = ", ".join(f"{part} for {name}" for part, name in sorted(renamed.items())[:3])
        more = f" and {len(renamed) - 3} more" if len(renamed) > 3 else ""
        log.warning("%s: of the folders' names %s%s are taken for speakers", root, listed, more)
    if twice:
        other, first = twice[0]
        log.warning(
            "%s: files there a second time are left out, %d in all, such as %s, as %s is read",
            root,
            len(twice),
            other,
            first,
        )


def _speaker(path: Path) -> str | None:
    return next((part for part in reversed(path.parts) if _SPEAKER.fullmatch(part)), None)
