"""What recipes were measured to reach, and the tables made of it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zoo.errors import ZooError
from zoo.recipes.recipe import read_recipe
from zoo.recipes.records import FILE, Record, add_record, read_records, records_of
from zoo.registry.registry import registry
from zoo.training.train import train

ROOT = Path(__file__).parents[1]
RECORD = Record(
    recipe="toy/points",
    metric="test/accuracy",
    values={"1": 0.5, "2": 1.0, "3": 0.75},
    date="2026-11-27",
    command="zoo train toy/points",
    hardware="a processor",
)


@pytest.fixture
def programs() -> Iterator[Any]:
    """The programs in the folder benchmarks, as modules."""
    folder = str(ROOT / "benchmarks")
    sys.path.append(folder)
    yield importlib.import_module
    sys.path.remove(folder)
    for name in ("tables", "reproduce"):
        sys.modules.pop(name, None)


def test_records_are_read_as_they_were_added(tmp_path: Path) -> None:
    assert read_records(tmp_path) == []
    other = Record("toy/other", "val/loss", {"7": 0.25}, "2026-11-27", "zoo", "a card", note="fäst")
    for record in (RECORD, other):
        add_record(tmp_path, record)
    assert read_records(tmp_path) == [RECORD, other]
    assert records_of("toy/other", tmp_path / "other.yaml") == [other]
    assert RECORD.described == "0.75 (mean of 3 seeds, 0.5 to 1)"
    assert other.described == "0.25 (seed 7)"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2"),
        ("[]", "line 2, is not a record: it is not an object"),
        ('{"recipe": "a"}', "missing 5 required"),
        ("[" * 100_000, "line 2"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    add_record(tmp_path, RECORD)
    with (tmp_path / FILE).open("a") as file:
        file.write(line)
    with pytest.raises(ZooError, match=says):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"valeus": {}}, "unknown valeus"),
        ({"values": {}}, "no seed"),
        ({"values": {"1": "x"}}, "not a number"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, change: dict, says: str) -> None:
    add_record(tmp_path, RECORD)
    path = tmp_path / FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ZooError, match=says):
        read_records(tmp_path)


def test_a_run_is_recorded_with_all_that_repeats_it(toy: Any, programs: Any) -> None:
    quiet = {"trainer.max_epochs": 1, "trainer.logger": False, "trainer.enable_progress_bar": False}
    run = train("toy/points", quiet, out="run")
    (record,) = programs("reproduce").records("toy/points", [run], "1", "beside others")
    assert record.values == {str(run.recipe.seed): round(run.metrics[record.metric], 6)}
    assert record.target["metric"] == record.metric
    assert record.command == "make reproduce RECIPE=toy/points SEEDS=1"
    assert {"python", "torch", "zoo"} <= record.versions.keys()
    assert record.threads
    assert record.seconds
    assert record.note == "beside others"
    again, other = programs("reproduce").records("toy/points", [run], "1", others=["train/loss"])
    assert again.metric == record.metric
    assert other.metric == "train/loss"
    assert other.target == {}  # the target is another metric's


@pytest.mark.whole_zoo
def test_the_tables_are_those_of_the_records(programs: Any) -> None:
    for path, text in programs("tables").tables().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: python benchmarks/tables.py"


@pytest.mark.whole_zoo
def test_every_target_has_its_source_and_its_day() -> None:
    for name, path in registry().recipes.items():
        about = read_recipe(path).about
        if about["target"]["value"] is not None:
            assert about["source"], name
            assert len(about["target"]["set"]) == len("2026-11-20"), name


LOOKED_THROUGH = (
    "evolution",
    "fastweights",
    "hpg",
    "lipreading",
    "segmentation",
    "sequence",
    "udrl",
    "vision",
    "worldmodels",
)
"""Families whose recipes were compared with their publications, line by line."""


@pytest.mark.whole_zoo
def test_a_target_of_a_publication_says_what_its_recipe_does_otherwise() -> None:
    found = {}
    for name, path in registry().recipes.items():
        about = read_recipe(path).about
        own = "set for this project" in about["source"] or about["target"]["value"] is None
        if name.startswith(LOOKED_THROUGH) and not own:
            found[name] = about.get("differs")
    assert len(found) > 10
    assert [name for name, differs in found.items() if not differs] == []


@pytest.mark.whole_zoo
def test_every_record_is_of_a_recipe() -> None:
    folders = {path.parent for path in registry().recipes.values()}
    found = [record for folder in folders for record in read_records(folder)]
    assert len(found) > 20
    assert {record.recipe for record in found} <= registry().recipes.keys()
