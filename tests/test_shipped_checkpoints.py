"""Every checkpoint that is shipped measures as its card says, where its data come with the zoo."""

from __future__ import annotations

import pytest

import zoo
from zoo.bundles.bundle import read_bundle
from zoo.registry.registry import registry

pytestmark = pytest.mark.whole_zoo


def shipped() -> list[str]:
    """Those whose data are embedded, generated or played."""
    found = registry()
    names = [name for name, entry in found.checkpoints.items() if "://" not in entry.location]
    return [
        name for name in names if found.dataset(read_bundle(name).recipe["data"]["name"]).embedded
    ]


@pytest.mark.parametrize("name", shipped())
def test_a_checkpoint_measures_as_its_card_says(name: str) -> None:
    card = {key: v for key, v in read_bundle(name).metrics.items() if key.startswith("test/")}
    assert card
    found = zoo.evaluate(name)  # and metrics that came after the card
    assert {key: found[key] for key in card} == pytest.approx(card, rel=1e-6, abs=1e-6)


def test_there_are_some() -> None:
    assert {"mpcnn-digits", "hpg-bitflip8", "udrl-cartpole", "udrl-lunarlander"} <= {*shipped()}
