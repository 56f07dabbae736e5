"""Which files of a folder are predicted, on which device, and the table they end in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zoo.errors import UsageError
from zoo.inference.device import find_device
from zoo.inference.files import find_files
from zoo.inference.output_folder import output_folder
from zoo.inference.rows import short, to_csv
from zoo.training.train import train


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
    assert short(rows) == [
        {"file": "a", "times": [1, 2.5, None], "none": None},
        {"file": "b", "times": None, "none": []},
    ]
    unsure = [{"file": "c", "words": []}, {"file": "d", "words": [{"word": "bin"}]}]
    assert short(unsure) == [{"file": "c"}, {"file": "d"}]


# The folder


SHORT = {"trainer.logger": False, "trainer.enable_progress_bar": False, "trainer.max_epochs": 1}
TOGETHER = """
import sys
import zoo
model = zoo.load("run")
print("ready", flush=True)
sys.stdin.readline()
try:
    found = zoo.predict(model, ["a.npy"], out="out")
except zoo.UsageError as error:
    print(error)
else:
    print(len(found.rows))
"""


def test_of_processes_with_one_folder_one_writes_and_the_others_are_told(
    toy: Any, python: Callable
) -> None:
    train("toy/images", SHORT, out="run")
    np.save("a.npy", np.zeros((1, 8, 8), np.uint8))
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    processes = [python("-c", TOGETHER, start=subprocess.Popen, **pipes) for _ in range(4)]
    for each in processes:
        assert each.stdout.readline() == "ready\n"
    for each in processes:
        each.stdin.write("go\n")
        each.stdin.flush()
    said = [each.communicate()[0].strip() for each in processes]
    assert said.count("1") == 1
    refused = ("another process writes into out", "out exists and is not empty")
    assert all(text == "1" or text.startswith(refused) for text in said)
    assert {path.name for path in Path("out").iterdir()} == {
        "pictures",
        "predictions.csv",
        "predictions.json",
    }


def test_twenty_that_claim_one_folder() -> None:
    taken = ["mine"]
    with output_folder("out", Path("predictions")) as folder:
        for _ in range(19):
            with (
                pytest.raises(UsageError, match="another process writes into out"),
                output_folder("out", Path("predictions")),
            ):
                taken.append("shared")
        (folder / "predictions.csv").touch()
    assert taken == ["mine"]
    with (
        pytest.raises(UsageError, match=r"out exists and is not empty: choose another --out$"),
        output_folder("out", Path("predictions")),
    ):
        taken.append("overwritten")
    assert [path.name for path in Path("out").iterdir()] == ["predictions.csv"]


@pytest.mark.parametrize("out", [None, "deep/out"])
def test_a_folder_that_stays_empty_is_removed(out: str | None) -> None:
    with (
        pytest.raises(UsageError, match="no episodes"),
        output_folder(out, Path("predictions")),
    ):
        raise UsageError("no episodes")
    assert not [path for path in Path().rglob("*") if path.is_dir() and path.name != "deep"]


def test_an_empty_folder_of_the_users_stays() -> None:
    Path("out").mkdir()
    with pytest.raises(UsageError), output_folder("out", Path("predictions")):
        raise UsageError("no episodes")
    assert list(Path("out").iterdir()) == []
