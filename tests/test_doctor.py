"""``zoo doctor`` tells what is broken, and what to do about it."""

from __future__ import annotations

import builtins
import importlib.metadata
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch


@pytest.fixture
def doctor(zoo: Callable) -> Callable[[], tuple[int, dict[str, dict[str, str]]]]:
    """Exit status and findings by name."""

    def call() -> tuple[int, dict[str, dict[str, str]]]:
        done = zoo("doctor", "--json")
        return done.status, {row["name"]: row for row in json.loads(done.out)}

    return call


def installed(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str | None]) -> None:
    """Let these distributions have these versions, or none."""
    original = importlib.metadata.version

    def version(name: str) -> str:
        found = versions[name] if name in versions else original(name)
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_a_sound_machine(doctor: Callable, zoo: Callable) -> None:
    status, found = doctor()
    assert status == 0
    assert {"python", "zoo", "torch", "lightning", "torchmetrics", "cpu", "cache"} <= set(found)
    assert found["cache"]["note"].endswith("empty so far (ZOO_CACHE moves it)")
    assert zoo("doctor").out.endswith("\nnothing is broken\n")


def test_a_distribution_that_is_missing(doctor: Callable, zoo: Callable, monkeypatch: Any) -> None:
    installed(monkeypatch, {"torchmetrics": None})
    status, found = doctor()
    assert status == 1
    assert found["torchmetrics"]["state"] == "broken"
    assert found["torchmetrics"]["remedy"] == "pip install torchmetrics"
    text = zoo("doctor").out
    assert "torchmetrics: not installed\n           -> pip install torchmetrics\n" in text
    assert text.endswith("\n1 broken\n")


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_a_malicious_release(doctor: Callable, monkeypatch: Any, version: str) -> None:
    installed(monkeypatch, {"lightning": version})
    status, found = doctor()
    assert status == 1
    assert found["lightning"]["note"] == f"{version} is a malicious release"
    assert "change every credential" in found["lightning"]["remedy"]


def test_a_torch_that_does_not_import(doctor: Callable, monkeypatch: Any) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "torch":
            raise OSError("libcudart.so: cannot open shared object file")
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    status, found = doctor()
    assert status == 1
    assert found["torch"]["note"].startswith("does not import: libcudart.so")


def test_graphics_cards(doctor: Callable, monkeypatch: Any) -> None:
    card = SimpleNamespace(name="a card", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    _, found = doctor()
    assert found["cuda:0"]["note"] == found["cuda:1"]["note"] == "a card, 80 GiB"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert doctor()[1]["mps"]["state"] == "ok"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert doctor()[1]["gpu"]["state"] == "absent"


def test_the_cache(doctor: Callable, monkeypatch: Any) -> None:
    folder = Path(os.environ["ZOO_CACHE"])
    (folder / "hub").mkdir(parents=True)
    (folder / "hub" / "weights").write_bytes(bytes(2_500_000))
    assert doctor()[1]["cache"]["note"] == f"{folder}, 2.5 MB"
    original = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder and original(path, mode))
    status, found = doctor()
    assert status == 1
    assert found["cache"]["note"] == f"{folder} cannot be written"
    assert "set ZOO_CACHE to another folder" in found["cache"]["remedy"]


def test_data_that_are_absent_say_where_to_get_them(toy: Any, doctor: Callable) -> None:
    toy.add(
        "far",
        "from zoo.plugin import Dataset, hookimpl\nZOO_PLUGIN_API = 1\n"
        "@hookimpl\ndef zoo_datasets():\n"
        "    return [Dataset('far-points', 'a.b:C', 'Points', 'free', homepage='https://far')]\n",
    )
    status, found = doctor()
    assert status == 0  # nobody needs all data
    assert found["data far-points"]["state"] == "absent"
    assert found["data far-points"]["note"].endswith("; get it from https://far")
    assert "get it from" not in found["data toy-files"]["note"]


def test_a_recipe_that_cannot_be_read(toy: Any, doctor: Callable, monkeypatch: Any) -> None:
    folder = toy.folder / "odd" / "all"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "torn.yaml").write_text("model: {name: toy-net")
    toy.add(
        "odd",
        "from zoo.plugin import Recipes, hookimpl\nZOO_PLUGIN_API = 1\n"
        "@hookimpl\ndef zoo_recipes():\n    return [Recipes('odd', 'odd:all')]\n",
    )
    status, found = doctor()
    assert status == 1
    assert found["recipe odd/torn"]["state"] == "broken"
    assert "torn.yaml" in found["recipe odd/torn"]["note"]
