"""Ms. Pac-man and FetchPush, where their packages are installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_hpg.data.datasets import FetchPushEpisodes, MsPacmanEpisodes
from zoo_hpg.environments import fetch_push, make_environment, ms_pacman
from zoo_hpg.episodes import Episodes, rollout
from zoo_hpg.model import HindsightPolicyGradient
from zoo_hpg.policy_gradient.hindsight import active_goals


@pytest.fixture
def atari() -> None:
    pytest.importorskip("ale_py", reason="the extra zoo-hpg[atari]")


@pytest.fixture
def robotics() -> None:
    pytest.importorskip("gymnasium_robotics", reason="the extra zoo-hpg[robotics]")


def always(action: int):  # type: ignore[no-untyped-def]
    def begin(goals: Tensor):  # type: ignore[no-untyped-def]
        return lambda seen: (torch.full((len(seen),), action), torch.zeros(len(seen)))

    return begin


def once(name: str, action: int, seed: int, goals: Tensor | None = None) -> Episodes:
    random = torch.Generator().manual_seed(seed)
    return rollout(make_environment({"name": name}), always(action), 2, random, goals)


def test_the_grid_has_155_cells() -> None:
    cells = make_environment({"name": "ms-pacman"}).goals
    assert len(cells) == 155
    assert cells.amax(0).tolist() == [13, 18]


@pytest.mark.usefixtures("atari")
def test_ms_pacman() -> None:
    episodes = once("ms-pacman", 2, 0, torch.tensor([[13.0, 0], [13, 18]]))
    assert episodes.observations.dtype == torch.uint8
    assert episodes.observations.shape[2:] == (168, 156, 4)
    rows, columns = episodes.achieved[0, :8].T.tolist()
    assert columns[0] > columns[-1]  # to the left, along a corridor
    assert len(set(rows)) <= 2
    cells = {tuple(cell) for cell in make_environment({"name": "ms-pacman"}).goals.tolist()}
    seen = {tuple(cell) for cell in active_goals(episodes).tolist()}
    assert len(seen & cells) >= 3
    again = once("ms-pacman", 2, 0, torch.tensor([[13.0, 0], [13, 18]]))
    assert torch.equal(episodes.observations, again.observations)
    frames = episodes.observations[0, 0].float()
    assert 40 < frames.mean() < 120
    assert not torch.equal(frames[..., 0], frames[..., 3])


@pytest.mark.usefixtures("atari")
def test_a_goal_in_a_wall_is_refused_and_play_is_filmed(tmp_path: Path) -> None:
    environment = make_environment({"name": "ms-pacman"})
    for wrong in ([0, 4], [14, 0], [2.5, 3]):
        with pytest.raises(UsageError, match="cannot be entered"):
            environment.read_goal(wrong)
    facts = MsPacmanEpisodes().facts
    model = HindsightPolicyGradient(**facts, hidden=[8], initialization="glorot")
    rows = model.play(tmp_path, goal="2,0", episodes=1)
    assert rows[0]["goal"] == "2,0"
    assert (tmp_path / "episode-1.gif").read_bytes()[:3] == b"GIF"


@pytest.mark.usefixtures("robotics")
def test_fetch_push() -> None:
    episodes = once("fetch-push", 4, 0)
    assert episodes.observations.shape[2:] == (29,)
    assert episodes.observations[0, 0, 25:].tolist() == [0, 0, 0, 0]
    assert episodes.observations[0, 1, 25:].tolist() == [1, 0, 0, 0]
    assert episodes.observations[0, 2, 25:].tolist() == [1, 0, 0, 0]  # it stays within 1
    moved = episodes.observations[0, 5, 0] - episodes.observations[0, 0, 0]
    assert moved > 0.05
    again = once("fetch-push", 4, 0)
    assert torch.equal(episodes.observations, again.observations)
    assert not torch.equal(episodes.goals[0], episodes.goals[1])


@pytest.mark.usefixtures("robotics")
def test_a_goal_beside_the_table_is_refused() -> None:
    environment = make_environment({"name": "fetch-push"})
    goal = environment.read_goal([1.3, 0.8])
    assert goal[:2].tolist() == pytest.approx([1.3, 0.8])
    with pytest.raises(UsageError, match="outside the table's goals: x from 1"):
        environment.read_goal([0.2, 0.8])
    with pytest.raises(UsageError, match="it takes x and y in metres"):
        environment.read_goal([1.0, 1.0, 1.0])


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ms_pacman, "find_spec", lambda name: None)
    monkeypatch.setattr(fetch_push, "find_spec", lambda name: None)
    for data, extra in ((MsPacmanEpisodes(), "atari"), (FetchPushEpisodes(), "robotics")):
        assert data.facts["goal_size"] in (2, 3)  # the recipe can still be read
        with pytest.raises(UsageError, match=rf"--find-links DIST \"zoo-hpg\[{extra}\]\""):
            next(iter(data.train_dataloader()))
