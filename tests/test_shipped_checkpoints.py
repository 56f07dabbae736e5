"""Every checkpoint that is shipped measures as its card says: where its data come with the zoo, and
on the published files where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import zoo
from zoo.bundles.bundle import read_bundle
from zoo.registry.registry import registry

pytestmark = pytest.mark.whole_zoo


FILES = {
    "mpcnn-mnist": "mnist",
    "lipreader-avletters": "avletters",
    "pyramid-lstm-hippocampus": "Task04_Hippocampus",
    "spoken-digits": "fsdd",
    "japanese-vowels": "series",
    "text-lm-shakespeare": "text/tinyshakespeare",
    "few-shot-omniglot": "omniglot",
}
"""Of the checkpoints whose data are files, the folder in ``$ZOO_DATA``."""
DATA = Path(os.environ.get("ZOO_DATA", "../shared/data")).absolute()
"""Read before tests take the variable away."""


def shipped() -> list[str]:
    """All whose bundles lie in the plugins."""
    found = registry().checkpoints
    return [name for name, entry in found.items() if "://" not in entry.location]


def embedded(name: str) -> bool:
    """Whether the data are generated, played or come with a package."""
    return registry().dataset(read_bundle(name).recipe["data"]["name"]).embedded


def card_of(name: str) -> dict[str, float]:
    """What was measured on the test data, as the card says."""
    card = {key: v for key, v in read_bundle(name).metrics.items() if key.startswith("test/")}
    assert card
    return card


@pytest.mark.parametrize("name", [name for name in shipped() if embedded(name)])
def test_a_checkpoint_measures_as_its_card_says(name: str) -> None:
    card = card_of(name)
    found = zoo.evaluate(name)  # and metrics that came after the card
    assert {key: found[key] for key in card} == pytest.approx(card, rel=1e-6, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in shipped() if not embedded(name)])
def test_a_checkpoint_of_files_measures_as_its_card_says(name: str) -> None:
    folder = DATA / FILES[name]
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set ZOO_DATA to the folder that holds {FILES[name]}/")
    card = card_of(name)
    found = zoo.evaluate(name, {"data.root": str(folder)})
    # Another processor rounds differently, and a voxel at the border of two classes may change.
    assert {key: found[key] for key in card} == pytest.approx(card, rel=1e-3, abs=1e-3)


def test_there_are_some() -> None:
    made = {"evolution-double-pole", "evolution-octopus-arm", "cm-pole"}
    known = {"mpcnn-digits", "hpg-bitflip8", "udrl-cartpole", "udrl-lunarlander", *made, *FILES}
    assert known <= {*shipped()}
