"""An entry that is not of the stated form is refused when it is made."""

import dataclasses

import pytest

from zoo.plugin.entries import Checkpoint, Dataset, Model, Recipes

TARGET = "package.module:Class"


@pytest.mark.parametrize(
    "name", ["mpcnn", "a", "pyramid-lstm", "v2.1_b", "timm/resnet18", "timm/ResNet", "0net"]
)
def test_good_names(name: str) -> None:
    assert Model(name, TARGET, "x").name == name
    assert Dataset(name, TARGET, "x").name == name
    assert Checkpoint(name, "package:folder", "x").name == name


@pytest.mark.parametrize(
    "name", ["", "MPCNN", "a net", "-a", "/a", "a/", "a/b/c", "a:b", "ä", "a\n", "*", "a*", None, 3]
)
def test_bad_names(name: object) -> None:
    with pytest.raises(ValueError, match="model name"):
        Model(name, TARGET, "x", wildcard="w")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dataset name"):
        Dataset(name, TARGET, "x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="checkpoint name"):
        Checkpoint(name, "package:folder", "x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="recipe family"):
        Recipes(name, "package:folder")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "target",
    ["", "module", "module:", ":Class", "a-b:Class", "a:B.C", "a:b:c", "a: B", None, print],
)
def test_bad_targets(target: object) -> None:
    for kind in (Model, Dataset):
        with pytest.raises(ValueError, match=r"package\.module:Class"):
            kind("net", target, "x")  # type: ignore[arg-type]


@pytest.mark.parametrize("folder", ["", "package", "package:", ":folder", "a b:folder", None])
def test_bad_folders(folder: object) -> None:
    with pytest.raises(ValueError, match="package:folder"):
        Recipes("family", folder)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="location"):
        Checkpoint("name", folder, "x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "location", ["package:folder/sub", "hf://owner/repo@v1", "https://host/b.json#sha256=0"]
)
def test_good_locations(location: str) -> None:
    assert Checkpoint("name", location, "x").location == location


@pytest.mark.parametrize("location", ["http://host/b.json", "ftp://host/b", "hf://", "/a/folder"])
def test_bad_locations(location: str) -> None:
    with pytest.raises(ValueError, match="location"):
        Checkpoint("name", location, "x")


def test_star_and_wildcard_go_together() -> None:
    assert Model("timm/*", TARGET, "x", wildcard="architecture").wildcard == "architecture"
    with pytest.raises(ValueError, match="go together"):
        Model("timm/*", TARGET, "x")
    with pytest.raises(ValueError, match="go together"):
        Model("mpcnn", TARGET, "x", wildcard="architecture")
    with pytest.raises(ValueError, match="one '\\*'"):
        Model("timm/*-*", TARGET, "x", wildcard="architecture")


def test_entries_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Model("net", TARGET, "x").name = "other"  # type: ignore[misc]
