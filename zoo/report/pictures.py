"""Pictures inside of a page, made smaller until they fit."""

from __future__ import annotations

import base64
import io
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.report.markup import Markup, element

if TYPE_CHECKING:
    from PIL import Image

_WIDEST, _NARROWEST = 1400, 160
"""Pixels."""
_TRIES = 5
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A picture to show.

    Attributes:
        path: A PNG file.
        title: Above it.
        caption: What it shows; may be empty.
    """

    path: Path
    title: str
    caption: str = ""


def show_pictures(pictures: Sequence[Picture], room: int) -> Markup:
    """Pictures one after the other; one that does not fit, or cannot be read, is named instead.

    Args:
        pictures: In order.
        room: Bytes of HTML that all of them together may take.
    """
    inlined = _inlined([each.path for each in pictures], room)
    shown = []
    for each in pictures:
        uri = inlined[each.path]
        if uri:
            # What is broad, such as a row of pictures with titles, scrolls on a phone.
            kind = "wide broad" if _is_broad(each.path) else "wide"
            inside = element("div", element("img", src=uri, alt=each.title), class_=kind)
        else:
            inside = element("p", f"too large for this page: {each.path.name}", class_="soft")
        said = [element("figcaption", each.caption)] if each.caption else []
        shown.append(element("figure", [element("b", each.title), *said, inside]))
    return element("div", shown, class_="pictures") if shown else Markup("")


def _is_broad(path: Path) -> bool:
    with path.open("rb") as file:
        width, height = struct.unpack(">II", file.read(24)[16:])
    return bool(width > 1.6 * height)


def _inlined(paths: Sequence[Path], room: int) -> dict[Path, str]:
    """A data URI for each file, empty where there is none: small files first, so that what they
    leave of their share is for the large."""
    found: dict[Path, str] = {}
    ordered = sorted(paths, key=lambda path: path.stat().st_size)
    for place, path in enumerate(ordered):
        share = max(room, 0) // (len(ordered) - place)
        kind, data = smaller(path, share * 3 // 4 - 64)
        found[path] = f"data:{kind};base64,{base64.b64encode(data).decode()}" if data else ""
        room -= len(found[path])
    return found


def smaller(path: Path, limit: int) -> tuple[str, bytes]:
    """A picture in no more than so many bytes.

    Args:
        path: A PNG file.
        limit: Bytes.

    Returns:
        Its kind and content: the file itself where it is small enough, otherwise one of fewer
        pixels; empty if it is no picture, or none is small enough.
    """
    data = path.read_bytes()
    if not data.startswith(_PNG) or len(data) < 24:
        return "", b""
    width, height = struct.unpack(">II", data[16:24])
    if not width * height:
        return "", b""
    if len(data) <= limit and width <= 2 * _WIDEST:
        return "image/png", data
    if limit < 1 or width * height > 100_000_000:  # would take long, or all of the memory
        return "", b""
    from PIL import Image  # takes a moment

    palette = Image.Quantize.FASTOCTREE  # a hundredth of the time of the default
    try:
        with Image.open(io.BytesIO(data)) as opened:
            whole = opened.convert("RGBA")
    except (OSError, ValueError, SyntaxError):  # a damaged file
        return "", b""
    flat = Image.new("RGB", whole.size, "white")
    flat.paste(whole, mask=whole.getchannel("A"))
    wide = min(_WIDEST, width)
    for _ in range(_TRIES):
        size = (wide, max(1, round(height * wide / width)))
        resized = flat.resize(size, Image.Resampling.BOX) if wide < width else flat
        # Lines and text are smaller as a palette, photographs as JPEG.
        encoded = {
            "png": _encoded(resized.quantize(256, palette, dither=Image.Dither.NONE), "png"),
            "jpeg": _encoded(resized, "jpeg", quality=80),
        }
        for kind, content in encoded.items():
            if len(content) <= limit:
                return f"image/{kind}", content
        wide = int(0.9 * wide * math.sqrt(limit / min(map(len, encoded.values()))))
        if wide < _NARROWEST:
            break
    return "", b""


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
