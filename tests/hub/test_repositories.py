"""Repositories of Hugging Face: verified as addresses are, and served offline."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from file_server import FILES

import zoo as package
from zoo.bundles.hub import cache_folder
from zoo.errors import UsageError, ZooError


def test_a_repository(hugging_face: list[dict[str, Any]]) -> None:
    for reference, revision in {"hf://me/toy": None, "hf://me/toy@v1": "v1"}.items():
        assert package.load(reference).hparams["hidden"] == 16
        call = hugging_face[-1]
        assert (call["repo_id"], call["revision"]) == ("me/toy", revision)
        assert call["cache_dir"] == cache_folder() / "hf"
        assert set(call["allow_patterns"]) == set(FILES)
        assert hugging_face[-2]["allow_patterns"] == ["bundle.json"]  # which names the others


def test_a_repository_is_verified(hugging_face: list[dict[str, Any]]) -> None:
    weights = Path("run/bundle/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UsageError, match="is not the file that"):
        package.load("hf://me/toy")


def test_repositories_that_cannot_be_had(hugging_face: list[dict[str, Any]]) -> None:
    with pytest.raises(ZooError, match=r"cannot be fetched: Cannot find.*local cache"):
        package.load("hf://me/offline")
    with pytest.raises(UsageError, match=r"is not a zoo bundle: it has no bundle\.json"):
        package.load("hf://me/other")


@pytest.mark.parametrize(
    "address", ["hf://", "hf://me", "hf://me/a/b", "hf://me/a@", "hf://me/a b"]
)
def test_no_form_of_a_repository(hugging_face: Any, zoo: Callable, address: str) -> None:
    done = zoo("test", address)
    assert done.status == 2
    assert "is not of the form hf://owner/repo[@revision]" in done.err
    assert hugging_face == []


def test_no_name_of_a_repository(toy: Any, zoo: Callable) -> None:
    done = zoo("test", "hf://me/a--b..git")
    assert done.status == 2
    assert "is not the address of a repository" in done.err


def test_offline_without_anything_cached(toy: Any, zoo: Callable, monkeypatch: Any) -> None:
    """The hub's own client, told that there is no network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    done = zoo("test", "hf://me/toy")
    assert done.status == 1
    assert "hf://me/toy cannot be fetched: " in done.err
    assert done.err.count("\n") == 1


def test_offline_from_the_cache(toy: Any, monkeypatch: Any, bundle: Path) -> None:
    """The layout of the hub's cache, filled by hand, and no network."""
    import huggingface_hub.constants

    commit = "0" * 40
    folder = cache_folder() / "hf" / "models--me--toy"
    shutil.copytree(bundle, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert package.load("hf://me/toy").hparams["hidden"] == 16


def test_only_what_the_manifest_lists_is_fetched_from_hugging_face(
    hugging_face: list[dict[str, Any]],
) -> None:
    Path("run/bundle/payload.py").write_text("raise SystemExit", encoding="utf-8")
    Path("run/bundle/another.safetensors").touch()
    package.load("hf://me/toy")
    assert set(hugging_face[-1]["allow_patterns"]) == set(FILES)
