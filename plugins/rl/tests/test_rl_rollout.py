"""Episodes in vectorized environments, transition by transition."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from zoo_rl.environments import SPARSE
from zoo_rl.episodes import Episodes
from zoo_rl.errors import EnvironmentFailure
from zoo_rl.rollout import rollout
from zoo_rl.vector import SyncEpisodicVectorEnv, make_vec

SEEDS = [4, 0, 7, 3, 9, 1, 14, 5]
"""Of episodes of 5, 1, 3, 4, 5, 2, 5 and 1 steps."""


def parity(observations: np.ndarray, episodes: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """An action that depends on seed and step: every row shows whose it is."""
    return (observations[:, 0] + observations[:, 1]).astype(np.int64) % 2


def by_hand(seeds: list[int], name: str = "Script-v0") -> Episodes:
    """The same episodes in a plain loop over one environment."""
    env = gym.make(name).unwrapped
    longest = max(seed % 5 + 1 for seed in seeds)
    observations = torch.zeros(len(seeds), longest + 1, 3)
    actions = torch.zeros(len(seeds), longest, dtype=torch.int64)
    rewards = torch.zeros(len(seeds), longest)
    lengths, terminated = [], []
    for index, seed in enumerate(seeds):
        seen, _ = env.reset(seed=seed)
        over, step = False, 0
        while not over:
            action = int(seen[0] + seen[1]) % 2
            observations[index, step] = torch.from_numpy(seen)
            actions[index, step] = action
            seen, reward, ended, cut, _ = env.step(action)
            rewards[index, step] = reward
            over, step = ended or cut, step + 1
        observations[index, step] = torch.from_numpy(seen)
        lengths.append(step)
        terminated.append(ended)
    return Episodes(observations, actions, rewards, torch.tensor(lengths), torch.tensor(terminated))


def assert_same(first: Episodes, second: Episodes) -> None:
    for name, value in first.state().items():
        assert torch.equal(value, second.state()[name]), name


@pytest.mark.parametrize("num_envs", [1, 3, 8, 20])
@pytest.mark.parametrize("name", ["Script-v0", "ScriptCut-v0"])
def test_any_number_of_environments_plays_the_episodes_of_a_plain_loop(
    num_envs: int, name: str
) -> None:
    assert_same(rollout(SyncEpisodicVectorEnv(name, num_envs), parity, SEEDS), by_hand(SEEDS, name))


def test_nothing_is_reset_that_is_not_played_and_nothing_stepped_after_its_end() -> None:
    envs = SyncEpisodicVectorEnv("Script-v0", 3)
    rollout(envs, parity, SEEDS)
    resets = [seed for env in envs.envs for seed in env.unwrapped.resets]  # type: ignore[attr-defined]
    assert sorted(resets) == sorted(SEEDS)


def test_the_last_observation_is_that_of_the_episode() -> None:
    episodes = rollout(SyncEpisodicVectorEnv("Script-v0", 2), parity, SEEDS)
    for index, seed in enumerate(SEEDS):
        length = seed % 5 + 1
        assert episodes.observations[index, length, :2].tolist() == [seed, length]
        assert not episodes.observations[index, length + 1 :].any()


def test_the_policy_is_told_its_episodes_and_the_rewards_before() -> None:
    told: dict[int, list[float]] = {}

    def policy(observations: np.ndarray, episodes: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        for observation, episode, reward in zip(observations, episodes, rewards, strict=True):
            assert observation[0] == SEEDS[episode]
            told.setdefault(int(episode), []).append(float(reward))
        return np.ones(len(observations), np.int64)

    episodes = rollout(SyncEpisodicVectorEnv("Script-v0", 3), policy, SEEDS)
    for index, length in enumerate(episodes.lengths.tolist()):
        assert told[index] == [0.0, *episodes.rewards[index, : length - 1].tolist()]


def test_the_callback_sees_every_state_once_and_the_last() -> None:
    seen: dict[int, list[int]] = {}

    def on_step(envs: object, indices: np.ndarray, episodes: np.ndarray) -> None:
        assert isinstance(envs, SyncEpisodicVectorEnv)
        for index, episode in zip(indices, episodes, strict=True):
            steps = envs.envs[index].unwrapped.steps  # type: ignore[attr-defined]
            seen.setdefault(int(episode), []).append(steps)

    rollout(SyncEpisodicVectorEnv("Script-v0", 3), parity, SEEDS, on_step)
    assert seen == {i: list(range(seed % 5 + 2)) for i, seed in enumerate(SEEDS)}


def test_a_longer_episode_than_all_before_grows_the_store() -> None:
    episodes = rollout(
        SyncEpisodicVectorEnv("ScriptEndless-v0", 1, max_episode_steps=700), parity, [3]
    )
    assert episodes.lengths.tolist() == [700]
    assert not episodes.terminated.any()
    assert episodes.observations[0, :, 1].tolist() == list(range(701))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("ScriptRaises-v0", r"raised ValueError: the pole broke \(episode of seed 7, step 2\)"),
        ("ScriptNeverBegins-v0", r"raised OSError: no such ROM \(episode of seed 1, step 0\)"),
        ("ScriptObservesNaN-v0", r"an observation that is not finite.*seed 7, step 2\)"),
        ("ScriptPaysNaN-v0", r"a reward that is not finite: nan \(episode of seed 7, step 2\)"),
    ],
)
def test_an_environment_that_fails_is_named_with_episode_and_step(name: str, what: str) -> None:
    with pytest.raises(EnvironmentFailure, match=what) as caught:
        rollout(SyncEpisodicVectorEnv(name, 2), parity, [1, 7, 0])
    assert f"'{name}'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_environment_that_never_ends_is_given_up_at_a_limit() -> None:
    with pytest.raises(EnvironmentFailure, match=r"within 50 steps: set --data.max_episode_steps"):
        rollout(SyncEpisodicVectorEnv("ScriptEndless-v0", 2), parity, [1, 2], step_limit=50)


@pytest.mark.parametrize("limit", [None, 30])
def test_the_sparse_lander_pays_the_whole_return_with_the_last_step(limit: int | None) -> None:
    def policy(observations: np.ndarray, *_: np.ndarray) -> np.ndarray:
        return (observations[:, 1] * 1000).astype(np.int64) % 4

    (sparse,) = SPARSE
    paid = rollout(SyncEpisodicVectorEnv(sparse, 2, max_episode_steps=limit), policy, [1, 2, 3])
    dense = rollout(
        SyncEpisodicVectorEnv(SPARSE[sparse], 2, max_episode_steps=limit), policy, [1, 2, 3]
    )
    assert torch.equal(paid.lengths, dense.lengths)
    torch.testing.assert_close(paid.returns, dense.returns)
    last = torch.zeros_like(paid.rewards)
    last[torch.arange(3), paid.lengths - 1] = paid.returns
    assert torch.equal(paid.rewards, last)
    assert dense.rewards[:, 0].all()
    if limit:
        assert paid.lengths.tolist() == [30, 30, 30]


def test_envpool_plays_the_first_episode_of_every_seed() -> None:
    pytest.importorskip("envpool")
    seeds = [11, 12, 13, 14, 15]

    def policy(observations: np.ndarray, *_: np.ndarray) -> np.ndarray:
        return (observations[:, 2] > 0).astype(np.int64)

    many, one = make_vec("CartPole-v1", 5, "envpool"), make_vec("CartPole-v1", 1, "envpool")
    together, single = rollout(many, policy, seeds), rollout(one, policy, seeds)
    assert_same(together, single)
    assert_same(together, rollout(many, policy, seeds))
    assert together.lengths.unique().numel() > 1  # some ended while others ran on
    for index, length in enumerate(together.lengths.tolist()):
        observed = together.observations[index, : length + 1]
        # The true last observation: the pole has fallen, nothing was reset.
        assert observed[:length, 2].abs().max() <= 0.2095 < observed[length, 2].abs()
        assert torch.equal(together.rewards[index, :length], torch.ones(length))


def test_envpool_pays_the_sparse_lander_at_the_end() -> None:
    pytest.importorskip("envpool")

    def policy(observations: np.ndarray, *_: np.ndarray) -> np.ndarray:
        return np.zeros(len(observations), np.int64)

    sparse = rollout(make_vec("LunarLanderSparse-v3", 3, "envpool"), policy, [1, 2, 3])
    dense = rollout(make_vec("LunarLander-v3", 3, "envpool"), policy, [1, 2, 3])
    torch.testing.assert_close(sparse.returns, dense.returns)
    assert (sparse.rewards != 0).sum(1).tolist() == [1, 1, 1]
