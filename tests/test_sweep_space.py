"""The grammar of what a sweep varies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoo.errors import UsageError
from zoo.experiments.sweeps.space import is_marked, read_space


def test_every_form() -> None:
    forms = {
        "model.lr": "log:1e-4:1e-1",
        "model.dropout": "float:0:0.5:0.1",
        "model.hidden": "int:1:8",
        "data.batch_size": "logint:16:512",
        "model.activation": "choice:relu, tanh",
        "data.x": "choice:1,2.5,true,null,1e-3",
    }
    found = read_space(forms)
    assert list(found) == list(forms)
    assert [each.kind for each in found.values()][:4] == ["log", "float", "int", "logint"]
    assert (found["model.lr"].low, found["model.lr"].high) == (1e-4, 0.1)
    assert found["model.dropout"].step == 0.1
    assert found["model.activation"].choices == ("relu", "tanh")
    assert found["data.x"].choices == (1, 2.5, True, None, 0.001)
    assert str(found["model.lr"]) == "log:0.0001:0.1"
    assert is_marked("log:1:2")
    assert not is_marked("1e-3")
    assert not is_marked(3)


def test_a_file_nests_or_not(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        'model: {lr: "log:1e-4:1e-1"}\nmodel.hidden: {choice: [[8, 8], [16]]}\n', encoding="utf-8"
    )
    found = read_space(file)
    assert list(found) == ["model.lr", "model.hidden"]
    hidden = found["model.hidden"]
    assert hidden.choices == ([8, 8], [16])
    assert hidden.read(hidden.labels[1]) == [16]  # a storage keeps texts


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("lgo:1:2", r"did you mean log:LOW:HIGH\?"),
        ("0.1", "use log:LOW:HIGH, float:LOW"),
        (0.1, "is not a range or a choice"),
        ("log:1e-1:1e-4", "the wrong way round: write log:1e-4:1e-1"),
        ("log:0:1", "begins above 0, not at 0"),
        ("logint:-1:4", "begins above 0, not at -1"),
        ("float:1:1", "a range of one value: set it with --model.lr 1"),
        ("float:0:inf", "has inf, and a range is finite"),
        ("float:a:1", "has 'a' where float:LOW:HIGH"),
        ("int:1:2.5", r"has '2.5' where .* has a whole number"),
        ("float:0:1:2", "has the step 2, which has to lie above 0 and within"),
        ("log:1:2:3", "is 'log:1:2:3' and has to be log:LOW:HIGH"),
        ("choice:32", "one choice, which is nothing to search: set it with --model.lr 32"),
        ("choice:", "an empty choice"),
        ("choice:a,b,a", 'has the choice "a" twice'),
        ({"choice": 3}, "has to have a list under 'choice', not 3"),
        ({"choice": []}, "set it with --model.lr VALUE"),
    ],
)
def test_faults(value: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_space({"model.lr": value})


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*none\.yaml"):
        read_space(tmp_path / "none.yaml")
    file = tmp_path / "space.yaml"
    for text, says in (("- 1\n", "is not a mapping"), ("a: [", "cannot be read: line")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=says):
            read_space(file)


def test_every_fault_at_once() -> None:
    with pytest.raises(UsageError, match="2 faults") as caught:
        read_space({"model.a": "log:0:1", "model.b": "choice:1"})
    assert "'model.a'" in str(caught.value)
    assert "'model.b'" in str(caught.value)
