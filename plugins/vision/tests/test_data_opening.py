"""Headers that announce more than their files hold are refused before memory is taken."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from zoo.plugin import UsageError
from zoo_vision.data.decoding import read_image


def png(width: int, height: int, bits: int = 8) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def saved(form: str, **options: object) -> bytearray:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (1, 2, 3)).save(stream, form, **options)
    return bytearray(stream.getvalue())


def tiff(compression: str) -> bytes:
    content = saved("TIFF", compression=compression)
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, place)[0] in (256, 257, 278):  # width, height, strip
            struct.pack_into("<HII", content, place + 2, 4, 1, 12_900)
    return bytes(content)


def webp(lossless: bool) -> bytes:
    content = saved("WEBP", lossless=lossless)
    if lossless:
        (rest,) = struct.unpack_from("<I", content, 21)
        struct.pack_into("<I", content, 21, rest >> 28 << 28 | 16382 << 14 | 16382)
    else:
        struct.pack_into("<HH", content, 26, 16383, 16383)
    return bytes(content)


def jpeg() -> bytes:
    content = saved("JPEG")
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 13_000, 13_000)
    return bytes(content)


def bmp() -> bytes:
    content = saved("BMP")
    struct.pack_into("<ii", content, 18, 12_000, 12_000)
    return bytes(content)


LIES = {
    "png": png(13_000, 13_000),
    "png-16": png(9_000, 9_000, bits=16),
    "tiff": tiff("raw"),
    "tiff-deflate": tiff("tiff_deflate"),
    "tiff-lzw": tiff("tiff_lzw"),
    "webp": webp(lossless=False),
    "webp-lossless": webp(lossless=True),
    "jpeg": jpeg(),
    "bmp": bmp(),
    "ppm": b"P6 12000 12000 255\nabc",
}


@pytest.mark.parametrize("content", LIES.values(), ids=LIES.keys())
def test_what_a_file_cannot_hold_is_refused_unread(tmp_path, content, monkeypatch):
    (tmp_path / "lie").write_bytes(content)

    def decoded(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(Image.Image, "load", decoded)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UsageError, match=r"lie does not .*announces \d+x\d+ pixels, which its"):
            read_image(tmp_path / "lie", 3, (8, 8))


def test_more_pixels_than_any_file_may_have(tmp_path):
    (tmp_path / "a.png").write_bytes(png(50_000, 50_000))
    with pytest.raises(UsageError, match=r"a\.png .*announces more than the 178,956,970 pixels"):
        read_image(tmp_path / "a.png", 3, (8, 8))


def test_a_large_picture_that_is_there_is_read_without_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600 * 700)
    Image.new("L", (700, 700), 77).save(tmp_path / "a.png")
    Image.new("1", (700, 700), 1).save(tmp_path / "page.tif", compression="group4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (read_image(tmp_path / "a.png", 1, (8, 8)) == 77).all()
        assert (read_image(tmp_path / "page.tif", 1, (8, 8)) == 255).all()


def test_what_pillow_takes_for_something_else_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(path, tiffinfo={339: 2})
    with pytest.raises(UsageError, match=r"a\.tif .*signed 8-bit values: save it as gray"):
        read_image(path, 3, (8, 8))

    def entry(tag: int, *values: int) -> bytes:
        place = values[0] if len(values) == 1 else {258: 300, 273: 310, 279: 330}[tag]
        return struct.pack("<HHII", tag, 3 if tag == 258 else 4, len(values), place)

    planes = [
        *(entry(256, 2), entry(257, 1), entry(258, 16, 16, 16), entry(259, 1), entry(262, 2)),
        *(entry(273, 400, 404, 408), entry(277, 3), entry(278, 1), entry(279, 4, 4, 4)),
        entry(284, 2),
    ]
    directory = struct.pack("<H", len(planes)) + b"".join(planes) + bytes(4)
    content = (b"II*\0" + struct.pack("<I", 8) + directory).ljust(300, b"\0")
    content = (content + struct.pack("<3H", 16, 16, 16)).ljust(310, b"\0")
    content = (content + struct.pack("<3I", 400, 404, 408)).ljust(330, b"\0")
    content = (content + struct.pack("<3I", 4, 4, 4)).ljust(400, b"\0")
    path.write_bytes(content + np.arange(6, dtype="<u2").tobytes())
    with pytest.raises(UsageError, match="16-bit channels in planes of their own"):
        read_image(path, 3, (8, 8))


def test_sixteen_bits_for_a_whole_pixel_are_no_deep_color(tmp_path):
    header = struct.pack("<IiiHHIIiiII", 40, 4, 1, 1, 16, 0, 8, 0, 0, 0, 0)
    start = 14 + len(header)
    content = b"BM" + struct.pack("<IHHI", start + 8, 0, 0, start) + header
    (tmp_path / "a.bmp").write_bytes(content + struct.pack("<4H", *[0x7C00] * 4))
    assert read_image(tmp_path / "a.bmp", 3, (1, 1)).flatten().tolist() == [255, 0, 0]


def test_a_kind_of_tiff_that_is_not_read_is_described(tmp_path):
    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, kind, count, value)

    entries = [
        entry(256, 4, 1, 2),
        entry(257, 4, 1, 1),
        entry(258, 3, 1, 64),
        entry(262, 3, 1, 1),
        entry(273, 4, 1, 200),
        entry(277, 3, 1, 1),
        entry(279, 4, 1, 16),
        entry(339, 3, 1, 3),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    content = (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0")
    (tmp_path / "a.tif").write_bytes(content + np.zeros(2).tobytes())
    with pytest.raises(UsageError, match=r"1 channel of 64-bit floating-point numbers, which"):
        read_image(tmp_path / "a.tif", 3, (8, 8))
