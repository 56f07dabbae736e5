"""The registered checkpoints play as well as their cards say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.plugin import UsageError


@pytest.mark.parametrize(("name", "goal"), [("hpg-bitflip8", "1,0,1,1,0,0,0,1")])
def test_goes_where_it_is_told(name: str, goal: str) -> None:
    rows = zoo.load(name).play(None, goal=goal, episodes=2)
    assert all(row["reached"] and row["steps"] == 4 for row in rows)


@pytest.mark.parametrize(("name", "success"), [("hpg-bitflip8", 0.9), ("hpg-four-rooms", 0.4)])
def test_reaches_most_goals(name: str, success: float) -> None:
    rows = zoo.load(name).play(None, episodes=200, seed=7)
    assert rows[0]["success_rate"] >= success


def test_goals_of_another_environment_are_refused() -> None:
    with pytest.raises(UsageError, match="it takes 8 bits"):
        zoo.load("hpg-bitflip8").play(None, goal="3,7")
    with pytest.raises(UsageError, match="lies outside the room"):
        zoo.load("hpg-four-rooms").play(None, goal="3,11")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"episodes": -1}, "--episodes has to be 1 or more, not -1"),
        ({"seed": -1}, "--seed is -1; it has to be a whole number"),
        ({"goal": "2"}, "1 number; it takes 8 bits"),
    ],
)
def test_what_cannot_be_played_leaves_no_folder(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        zoo.predict("hpg-bitflip8", options=options, out=tmp_path / "played")
    assert not (tmp_path / "played").exists()
