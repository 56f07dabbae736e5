"""A file is the old one or the new one, never half of one."""

from pathlib import Path
from typing import BinaryIO

import pytest

from zoo.io.atomic import leftovers, remove_leftovers, replace_folder, write_atomically


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


def test_a_folder_whose_exchange_fails_half_way_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a system that cannot swap two names, and where the second renaming fails."""
    folder = tmp_path / "bundle"
    replace_folder(folder, {"a": b"old"})
    original = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp" and target == folder:
            raise OSError("the disk is gone")
        return original(self, target)

    monkeypatch.setattr("zoo.io.atomic._exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="gone"):
        replace_folder(folder, {"a": b"new"})
    assert (folder / "a").read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "here"}


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "run" / "plots").mkdir(parents=True)
    (tmp_path / "run" / ".bundle.7.tmp").mkdir()
    for name in (".metrics.csv.7.tmp", "plots/.curves.png.7.tmp", "metrics.csv", ".lock"):
        (tmp_path / "run" / name).touch()
    assert [path.name for path in leftovers(tmp_path / "run")] == [
        ".bundle.7.tmp",
        ".metrics.csv.7.tmp",
    ]
    remove_leftovers(tmp_path / "run")
    left = {path.name for path in (tmp_path / "run").rglob("*")}
    assert left == {"plots", "metrics.csv", ".lock"}
    assert leftovers(tmp_path / "absent") == []
