"""Files of data whose headers lie, or that unpack to more than any memory holds.

Those that a prediction reads lie beside a good one: it is predicted, and the bad one is named. Of a
dataset's files the first one that is bad ends the command.
"""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from hostile.trial import Kinds, command, fell


def _whole_zoo() -> None:
    from zoo.registry.registry import registry

    os.environ.pop("ZOO_DISABLE_PLUGINS", None)
    registry.cache_clear()


def _png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = zlib.compress(data or b"\0" * 100)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _nifti(shape: tuple[int, ...], body: bytes = b"") -> bytes:
    """A NIfTI-1 file of 32-bit floats, with a header that states any shape."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<hh", header, 70, 16, 32)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    struct.pack_into("<ff", header, 112, 1, 0)
    struct.pack_into("<b", header, 123, 2)  # mm
    struct.pack_into("<hh", header, 252, 0, 1)  # the matrix of the sform
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    header[344:348] = b"n+1\0"
    return bytes(header) + body


def _zeros(size: int) -> bytes:
    """A gzip file of so many zeros."""
    return gzip.compress(bytes(1 << 26)) * (size >> 26)  # one member after the other


def _npy(shape: str, body: bytes = b"") -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body


def _idx(count: int, rows: int, columns: int) -> bytes:
    return struct.pack(">IIII", 0x803, count, rows, columns) + bytes(100)


IMAGES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a PNG of 50,000 x 50,000": ("bad.png", lambda: _png(50_000, 50_000)),
    "a PNG of 2**31 - 1 x 2**31 - 1": ("bad.png", lambda: _png(2**31 - 1, 2**31 - 1)),
    "a PNG of 13,000 x 13,000": (
        "bad.png",
        lambda: _png(13_000, 13_000, bytes(13_001 * 13_000)),
    ),
    "a PNG of no width": ("bad.png", lambda: _png(0, 10)),
    "a PNG that ends": ("bad.png", lambda: _png(30, 30)[:40]),
}
VOLUMES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a NIfTI of 30,000**3": ("bad.nii", lambda: _nifti((30_000,) * 3)),
    "a NIfTI of 32,767**7": ("bad.nii", lambda: _nifti((32_767,) * 7)),
    "a NIfTI of a negative side": ("bad.nii", lambda: _nifti((-5, 5, 5), bytes(500))),
    "a NIfTI of no side": ("bad.nii", lambda: _nifti((0, 5, 5))),
    "a NIfTI that ends": ("bad.nii", lambda: _nifti((9, 9, 9), bytes(100))),
    "a NIfTI of 30,000**3, packed": (
        "bad.nii.gz",
        lambda: gzip.compress(_nifti((30_000,) * 3)),
    ),
    "a NIfTI of 8 GB of zeros, packed": ("bad.nii.gz", lambda: _zeros(8 << 30)),
}
DIGITS: dict[str, Callable[[], bytes]] = {
    "an idx of 2**32 - 1 images": lambda: gzip.compress(_idx(2**32 - 1, 28, 28)),
    "an idx of huge images": lambda: gzip.compress(_idx(1, 2**31, 2**31)),
    "an idx of 8 GB of zeros": lambda: _zeros(8 << 30),
    "an idx that is cut": lambda: gzip.compress(_idx(10, 28, 28))[:20],
}


def _pickled() -> bytes:
    class Payload:
        def __reduce__(self) -> object:
            return os.system, ("touch PWNED",)

    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


WEIGHTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "weights with a header of 2**62 bytes": (
        "bad.safetensors",
        lambda: struct.pack("<Q", 2**62) + b"{}",
    ),
    "weights in a zip that unpacks to 2 GB": ("bad.ckpt", lambda: _bomb("archive/data.pkl")),
    "weights in a zip with a path outside": ("bad.ckpt", lambda: _bomb("../../PWNED", 10)),
    "weights that are a pickle of a long text": ("bad.ckpt", lambda: pickle.dumps("x" * 10**7)),
    "weights that are an array of 49 TiB": ("bad.pt", lambda: _npy("(7000000, 1000000)")),
    "weights that are a pickled array": ("bad.pt", _pickled),
}


def _bomb(name: str, megabytes: int = 2048) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open(name, "w", force_zip64=True) as file,
    ):
        for _ in range(megabytes):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


def _beside(model: str, bad: tuple[str, Callable[[], bytes]], good: bytes, folder: Path) -> str:
    name, content = bad
    (folder / "in").mkdir()
    (folder / "in" / name).write_bytes(content())
    fine = name.replace("bad", "good").removesuffix(".gz")
    (folder / "in" / fine).write_bytes(good)
    told = command(*("predict", model, "in", "--out", "out"), inside=folder, prepare=_whole_zoo)
    if told.status == 0:  # it was not too large after all
        return fell(told, (0,))
    if said := fell(told, (1,), says=[name]):
        return said
    if "MemoryError" in told.err or fine in told.err:
        return told.err[-500:]
    return "" if (folder / "out" / "predictions.json").is_file() else "nothing was written"


def _digits(content: Callable[[], bytes], folder: Path) -> str:
    data = folder / "mnist"
    data.mkdir()
    for part in ("train", "t10k"):
        (data / f"{part}-images-idx3-ubyte.gz").write_bytes(content())
        (data / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(100)))
    words = ("test", "mpcnn-digits", "--data", "mnist", "--data.root", "mnist")
    return fell(command(*words, inside=folder, prepare=_whole_zoo), says=["ubyte"])


def _weights(bad: tuple[str, Callable[[], bytes]], folder: Path) -> str:
    name, content = bad
    (folder / name).write_bytes(content())
    words = ("train", "toy/points", "--init_from.reference", name, "--out", "run")
    told = command(*words, inside=folder)
    if (folder / "PWNED").exists() or (folder / "run").exists():
        return "something was written"
    return fell(told, says=[name])


_VOLUME = _nifti((24, 24, 24), np.random.default_rng(0).random(24**3, np.float32).tobytes())
KINDS: Kinds = {
    **{
        k: partial(_beside, "mpcnn-digits", v, _png(28, 28, bytes(29 * 28)))
        for k, v in IMAGES.items()
    },
    **{k: partial(_beside, "pyramid-lstm-hippocampus", v, _VOLUME) for k, v in VOLUMES.items()},
    **{k: partial(_digits, v) for k, v in DIGITS.items()},
    **{k: partial(_weights, v) for k, v in WEIGHTS.items()},
}
