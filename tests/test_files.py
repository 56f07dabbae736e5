"""A file is the old one or the new one, never half of one."""

from pathlib import Path
from typing import BinaryIO

import pytest

from zoo.io.atomic import write_atomically


@pytest.mark.parametrize("durable", [True, False])
def test_written_into_a_new_folder(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a" / "b.txt"
    write_atomically(path, b"one", durable)
    write_atomically(path, lambda file: file.write(b"two") and None, durable)
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_bytes(b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half of the n")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["b.txt"]
