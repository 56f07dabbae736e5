"""One range of pixel values for the files of a folder, or of a call of ``zoo predict``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoo.plugin import UsageError, rank_zero_print
from zoo_vision.data.decoding import Inspection, inspect, on_all_cores
from zoo_vision.data.opening import UNDECODABLE
from zoo_vision.data.pixel_range import STATED, Extent, Ranges, assumed_range, merged, sentence
from zoo_vision.data.sources import FILES, Sources


def inspect_readable(paths: Sequence[str], sources: Sources = FILES) -> list[Inspection | None]:
    """Look at the files' headers, and at the values of those of more than 8 bits, on all cores.

    Returns:
        What was found; None for files that do not decode, which whoever reads them will name.
    """

    def attempt(path: str) -> Inspection | None:
        try:
            return inspect(path, whole=False, sources=sources)
        except UNDECODABLE:
            return None

    return on_all_cores(attempt, paths)


def decide_ranges(
    paths: Sequence[str],
    found: Sequence[Inspection | None],
    stated: dict[str, list[float]],
    notes: list[str],
) -> dict[str, list[float]]:
    """The range of each kind of stored values, by all files of that kind.

    Args:
        paths: The files.
        found: What is known of each.
        stated: The user's range under `STATED`, or nothing.
        notes: Receives sentences that say what was taken for black and white.

    Raises:
        UsageError: it cannot be known.
    """
    extents = {
        path: each.extent
        for path, each in zip(paths, found, strict=True)
        if each is not None and each.extent is not None
    }
    ranges = dict(stated)
    for kind, whole in merged(extents.values()).items():
        of_kind = {path: extent for path, extent in extents.items() if extent.kind == kind}
        limits = stated.get(STATED) or _assumed(whole, of_kind)
        if not stated:
            ranges[kind] = list(limits)
        by = "as range says" if stated else "--data.range '[BLACK, WHITE]' states it otherwise"
        notes.append(f"{sentence(kind, list(of_kind.values()), limits)} ({by})")
    return ranges


def _assumed(whole: Extent, extents: Mapping[str, Extent]) -> tuple[float, float]:
    try:
        return assumed_range(whole)
    except ValueError as error:
        ends = {whole.low, whole.high}
        odd = next(path for path, each in extents.items() if {each.low, each.high} & ends)
        raise UsageError(
            f"{len(extents)} images of {whole.kind} values, such as {odd}: {error} by "
            "--data.range '[BLACK, WHITE]'"
        ) from error


class CallRanges:
    """The ranges of a model, and for kinds of values that its training did not see, one range for
    all files of a call.

    Args:
        known: The model's.
        files: All files of the call.
    """

    def __init__(self, known: Ranges, files: Sequence[str]) -> None:
        self._known = known
        self._files = files
        self._decided: dict[str, Sequence[float] | None] = {}

    def get(self, kind: str) -> Sequence[float] | None:
        """The black and the white of a kind of stored values; None where each file is to decide."""
        if kind in self._known or kind == STATED or not self._files:
            return self._known.get(kind)
        if kind not in self._decided:
            self._decided[kind] = self._decide(kind)
        return self._decided[kind]

    def _decide(self, kind: str) -> Sequence[float] | None:
        extents = [
            each.extent
            for each in inspect_readable(self._files)
            if each is not None and each.extent is not None and each.extent.kind == kind
        ]
        # A file that is in no range by itself is named when it is read.
        extents = [extent for extent in extents if _has_range(extent)]
        if not extents:
            return None
        limits = assumed_range(merged(extents)[kind])
        rank_zero_print(
            f"{sentence(kind, extents, limits)} (the model was trained on files of other kinds)"
        )
        return limits


def _has_range(extent: Extent) -> bool:
    try:
        assumed_range(extent)
    except ValueError:
        return False
    return True
