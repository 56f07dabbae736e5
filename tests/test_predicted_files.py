"""Which files of a folder are predicted, on which device, and the table they end in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from zoo.errors import UsageError
from zoo.inference.device import find_device
from zoo.inference.files import find_files
from zoo.inference.rows import short, to_csv


def touch(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(*paths: str) -> list[str]:
    return [str(path) for path in find_files(paths, (".png",))]


def test_what_is_hidden_is_left_out_at_any_depth() -> None:
    kept = ["f/a.png", "f/deep/in/b.PNG"]
    touch(
        *kept,
        "f/._a.png",
        "f/.a.png",
        "f/.ipynb_checkpoints/a-checkpoint.png",
        "f/deep/.thumbnails/in/b.png",
        "f/deep/__MACOSX/._b.png",
        "f/deep/@eaDir/b.png",
        "f/other.txt",
    )
    assert found("f") == kept


def test_what_is_named_is_taken_though_it_is_hidden() -> None:
    touch(".cache/a.png", ".b.png")
    assert found(".cache", ".b.png") == [".cache/a.png", ".b.png"]


def test_a_folder_of_hidden_files_alone_says_so() -> None:
    touch("f/._a.png", "f/._b.png")
    with pytest.raises(UsageError, match=r"no file in f ends in .*; left out as hidden: f/\._.* 1"):
        find_files(["f"], (".png",))
    touch("g/a.txt")
    with pytest.raises(UsageError, match=r"no file in g ends in one of \.png$"):
        find_files(["g"], (".png",))


def test_links_are_followed_once() -> None:
    touch("f/a/1.png", "elsewhere/2.png")
    os.symlink("..", "f/a/up")
    os.symlink(Path("elsewhere").resolve(), "f/linked")
    os.symlink(Path("elsewhere").resolve(), "f/twice")
    os.symlink("nowhere.png", "f/broken.png")
    assert found("f") == ["f/a/1.png", "f/linked/2.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_named() -> None:
    touch("f/closed/a.png")
    Path("f/closed").chmod(0)
    with pytest.raises(UsageError, match=r"the folder f/closed cannot be read: Permission denied"):
        find_files(["f"], (".png",))


# Devices


def test_the_cpu_is_a_device() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device() == torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("foo", "'foo' is not a device: this machine has cpu"),
        ("cuda:99", "there is no device 'cuda:99' here: this machine has cpu"),
        ("meta", "there is no device 'meta' here: this machine has cpu"),
    ],
)
def test_another_is_refused_in_a_sentence(zoo: Callable, name: str, said: str) -> None:
    done = zoo("predict", "nothing", "a.png", "--device", name, "--out", "out")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"zoo: {said}")
    assert done.err.count("\n") == 1
    assert not Path("out").exists()


def test_an_accelerator_that_is_not_there_is_refused_before_a_folder(
    toy: object, zoo: Callable
) -> None:
    missing = "tpu" if torch.cuda.is_available() else "gpu"
    for place in ((), ("--out", "run")):
        done = zoo("train", "toy/points", "--trainer.accelerator", missing, *place)
        assert done.status == 2
        assert done.err.startswith("zoo: Lightning's Trainer refuses the settings --trainer...")
        assert list(Path().iterdir()) == []


# The table


def test_a_column_for_each_value() -> None:
    rows = [
        {"file": "a", "probabilities": {"cat": 0.25, "dog, big": 0.75}, "times": [1, 2.5, None]},
        {
            "file": "b",
            "words": [{"word": "bin", "start": 0.5}, {"word": "blue", "end": 2}],
            "written": {"maps": {"labels": "labels/b.nii"}},
            "boxes": [[1, 2], [3, 4]],
            "none": [],
        },
    ]
    assert to_csv(rows) == (
        'file,probabilities/cat,"probabilities/dog, big",times,words/word,words/start,words/end,'
        "written/maps/labels,boxes,none\n"
        "a,0.25,0.75,1; 2.5; ,,,,,,\n"
        'b,,,,bin; blue,0.5; ,; 2,labels/b.nii,"[1, 2]; [3, 4]",\n'
    )
    assert to_csv([]) == "file\n"
    assert [list(short(row)) for row in rows] == [["file", "times"], ["file", "none"]]
