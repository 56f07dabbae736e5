"""``bundle.json`` is read by its form: what lacks a field, or has another type there, is told."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zoo.bundles.manifest import FORMAT, MAX_BYTES, content_hash, read_manifest
from zoo.errors import UsageError

GOOD: dict[str, Any] = json.loads((Path(__file__).parent / "good_manifest.json").read_text())
OF_ANOTHER_TYPE = (None, True, -1, 1.5, "", [], {}, ["a"], {"a": "b"})


def write(folder: Path, content: Any, seal: bool = True) -> None:
    if seal:
        content["sha256"] = content_hash(content)
    (folder / "bundle.json").write_text(json.dumps(content))


def fields(content: dict[str, Any], *before: str) -> Iterator[tuple[str, ...]]:
    """The path of every field but the format, and the contents of free mappings."""
    for key, value in content.items():
        if key in ("format", "hidden", "model.safetensors", "test/loss", "test/f1"):
            continue
        yield (*before, key)
        if isinstance(value, dict):
            yield from fields(value, *before, key)


def at(content: dict[str, Any], path: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    for key in path[:-1]:
        content = content[key]
    return content, path[-1]


FIELDS = list(fields(GOOD))
STATED = [("files", "model.safetensors", key) for key in ("sha256", "size")]


def test_a_good_one(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD, "a field of tomorrow": 1})
    assert read_manifest(tmp_path)["model"] == GOOD["model"]


@pytest.mark.parametrize("path", [*FIELDS, *STATED], ids="/".join)
def test_a_missing_field(tmp_path: Path, path: tuple[str, ...]) -> None:
    content = copy.deepcopy(GOOD)
    parent, key = at(content, path)
    del parent[key]
    write(tmp_path, content)
    with pytest.raises(UsageError) as error:
        read_manifest(tmp_path)
    assert f"'{'.'.join(path)}' is missing" in str(error.value)
    assert str(error.value).endswith(": fetch the bundle again")


@pytest.mark.parametrize("path", [*FIELDS, *STATED], ids="/".join)
def test_a_field_of_another_type(tmp_path: Path, path: tuple[str, ...]) -> None:
    good, key = at(GOOD, path)
    refused = 0
    for value in OF_ANOTHER_TYPE:
        content = copy.deepcopy(GOOD)
        parent, _ = at(content, path)
        parent[key] = value
        write(tmp_path, content)
        if type(value) is type(good[key]):
            continue
        with pytest.raises(UsageError) as error:
            read_manifest(tmp_path)
        assert f"'{'.'.join(path)}' has to be " in str(error.value), value
        assert "\n" not in str(error.value)
        refused += 1
    assert refused >= 6


@pytest.mark.parametrize(
    "value",
    ["\x1b[2J", "a\nb", "x" * 2000, "\udcff", "\u202eevil"],
    ids=["escape", "newline", "long", "surrogate", "right to left"],
)
@pytest.mark.parametrize(
    "path",
    [("model", "name"), ("plugin", "distribution"), ("plugin", "version"), ("recipe", "name")],
    ids="/".join,
)
def test_a_name_that_no_terminal_should_print(
    tmp_path: Path, path: tuple[str, ...], value: str
) -> None:
    content = copy.deepcopy(GOOD)
    parent, key = at(content, path)
    parent[key] = value
    write(tmp_path, content)
    with pytest.raises(UsageError, match=rf"'{'.'.join(path)}' has to be a name") as error:
        read_manifest(tmp_path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("name", ["bundle.json", ".lock", "a\nb", "\x1b[2J"])
def test_files_of_odd_names(tmp_path: Path, name: str) -> None:
    content = copy.deepcopy(GOOD)
    content["files"][name] = content["files"]["model.safetensors"]
    write(tmp_path, content)
    with pytest.raises(UsageError, match="which is not a name for a file of it"):
        read_manifest(tmp_path)


def test_a_file_without_facts(tmp_path: Path) -> None:
    content = copy.deepcopy(GOOD)
    content["files"]["README.md"] = 3
    write(tmp_path, content)
    with pytest.raises(UsageError, match=r"'files\.README\.md' has to be a mapping, not 3"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("value", ["1", True, None, [1]])
def test_a_metric_that_is_not_a_number(tmp_path: Path, value: Any) -> None:
    content = copy.deepcopy(GOOD)
    content["metrics"]["values"]["test/loss"] = value
    write(tmp_path, content)
    if value is None:
        assert read_manifest(tmp_path)
        return
    with pytest.raises(UsageError, match=r"'metrics\.values' has to be a mapping of names to num"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (-5, "the format -5, but formats are counted from 1"),
        (0, "the format 0, but"),
        (True, "no format number"),
        (2.0, "no format number"),
        (None, "no format number"),
        (10**90, "update zoo"),
    ],
)
def test_odd_formats(tmp_path: Path, number: Any, message: str) -> None:
    write(tmp_path, {**copy.deepcopy(GOOD), "format": number})
    with pytest.raises(UsageError, match=message):
        read_manifest(tmp_path)


def good_with(field: str) -> str:
    return json.dumps(GOOD)[:-1] + f', "field": {field}}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lambda: "[" * 1_000_000, "nested more than 100 deep"),
        (lambda: '{"a":' * 800_000, "nested more than 100 deep"),
        (lambda: good_with("[" * 100_000 + "]" * 100_000), "nested more than 100 deep"),
        (lambda: good_with("[" * 200 + "]" * 200), "nested more than 100 deep"),
        (lambda: good_with("9" * 20_000), "a number of 20000 digits"),
        (lambda: good_with("-" + "9" * 4_000_000), "a number of 4000001 digits"),
        (lambda: good_with("9" * 101), "a number of 101 digits"),
        (lambda: good_with('"' + "x" * MAX_BYTES + '"'), "more than 4194304 bytes"),
        (lambda: "[" + "[]," * 1_000_000 + "[]]", "no format number"),
        (lambda: good_with("[" + "1," * 2_000_000 + "1]"), "its hash differs"),
        (lambda: "", "cannot be read"),
        (lambda: "\0", "cannot be read"),
    ],
    ids=[
        "lists",
        "mappings",
        "closed lists",
        "200 deep",
        "20,000 digits",
        "4,000,000 digits",
        "101 digits",
        "too large",
        "1,000,000 lists",
        "2,000,000 numbers",
        "nothing",
        "zero byte",
    ],
)
def test_texts_that_cost_time(tmp_path: Path, text: Callable[[], str], message: str) -> None:
    (tmp_path / "bundle.json").write_text(text())
    start = time.process_time()
    with pytest.raises(UsageError, match=message) as error:
        read_manifest(tmp_path)
    assert "\n" not in str(error.value)
    # Below one on a quiet machine, where nothing measures which lines are reached.
    assert time.process_time() - start < 15


def test_what_is_wrong_is_told_three_at_a_time(tmp_path: Path) -> None:
    write(tmp_path, {"format": FORMAT})
    with pytest.raises(UsageError) as error:
        read_manifest(tmp_path)
    assert "'created' is missing; 'model' is missing; 'plugin' is missing; and 8 more" in str(
        error.value
    )
