"""Lists of files: a text file for each part, with the path of an image in every line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.plugin import UsageError
from zoo_vision.data.folder_layout import PART_NAMES, Listing
from zoo_vision.data.images import UNUSED

_SHOWN = 5


def apply_lists(listing: Listing, root: Path, lists: Mapping[int, str]) -> None:
    """Give the images of a listing the parts that lists say; images in no list are left out.

    Args:
        listing: Its parts and notes are changed.
        root: The folder of the dataset, which lines are relative to, or else to their list's.
        lists: From `TRAIN`, `VAL` or `TEST` to the path of its list.

    Raises:
        UsageError: a list cannot be read, names what is not an image here, or an image is in two.
    """
    position = {path: index for index, path in enumerate(listing.paths)}
    listing.parts = [UNUSED] * len(listing.paths)
    listing.in_parts = True
    for part, name in lists.items():
        lines = _lines(Path(name))
        missing = []
        for line in lines:
            places = [str(folder / line) for folder in (root, Path(name).parent)]
            index = next((position[path] for path in places if path in position), None)
            if index is None:
                missing.append(line)
                continue
            if listing.parts[index] not in (UNUSED, part):
                raise UsageError(
                    f"{line} is in {name} and in the list of the part "
                    f"{PART_NAMES[listing.parts[index]]}; keep it in one"
                )
            listing.parts[index] = part
        if missing:
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            raise UsageError(
                f"{len(missing)} of {len(lines)} files that {name} lists are not images under "
                f"{root}: {', '.join(missing[:_SHOWN])}{more}; correct the list"
            )
    counts = [f"{listing.parts.count(part)} {PART_NAMES[part]} ({lists[part]})" for part in lists]
    listing.notes.append(f"the parts are those of the lists: {', '.join(counts)}")
    if left := listing.parts.count(UNUSED):
        listing.notes.append(f"images in no list, which are left out: {left}")


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text ({error.reason}); save it as that") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; correct its path") from error
    return [name.replace("\\", "/") for line in text.splitlines() if (name := line.strip())]
