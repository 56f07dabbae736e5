"""Poles, controllers, dreams, plans and curiosity: what they compute, on tiny worlds."""

import math
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import zoo_worldmodels.controller
from zoo.plugin import UsageError
from zoo_worldmodels import pole, swingup
from zoo_worldmodels.acting import RealActing, real_world
from zoo_worldmodels.beside import curves
from zoo_worldmodels.cloning import BehaviorClone
from zoo_worldmodels.cm import ControllerAndModel, pain
from zoo_worldmodels.controller import DreamController
from zoo_worldmodels.curiosity import IntrinsicReward
from zoo_worldmodels.dream import Dream, DreamEnv
from zoo_worldmodels.linear import LinearControllers
from zoo_worldmodels.noisy_tv import NOISE, TwoRooms
from zoo_worldmodels.planners import PLANNERS
from zoo_worldmodels.planning import by_truth
from zoo_worldmodels.pole_positions import Played, balance, play, random_actions
from zoo_worldmodels.world_model import WorldModel


def world(memory="gru", **changes):
    torch.manual_seed(0)
    arguments = {
        "environment": "CartPole-v1",
        "observation_shape": [4],
        "features": 4,
        "actions": "discrete",
        "num_actions": 2,
        "action_low": [],
        "action_high": [],
        "max_episode_steps": 500,
        "observation_mean": [0.0, 0.5, 0.0, 0.0],
        "observation_std": [1.0, 2.0, 1.0, 1.0],
        "hidden": 8,
        "memory": memory,
    }
    return WorldModel(**(arguments | changes)).eval()


def test_the_pole_moves_as_that_of_gymnasium():
    env = gym.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    state = torch.tensor(env.state, dtype=torch.float64)
    for action in (1, 0, 0, 1, 1):
        theirs = env.step(action)[0]
        state = pole.step(state, torch.tensor(2.0 * action - 1))
        assert np.allclose(state.numpy(), theirs, atol=1e-6)
    limits = torch.tensor([[2.39, 0, 0, 0], [2.41, 0, 0, 0], [0, 0, 0.2, 0], [0, 0, -0.21, 0]])
    assert pole.has_failed(limits).tolist() == [False, True, False, True]


def test_episodes_end_with_the_pole_and_show_no_velocity():
    played = play(
        random_actions(torch.Generator().manual_seed(0)), 20, torch.Generator().manual_seed(1)
    )
    assert played.observations.shape == (20, 61, 2)
    ended = played.lengths < 60
    assert bool(ended.any())
    for number in ended.nonzero()[:, 0].tolist():
        steps = int(played.lengths[number])
        last = played.observations[number, steps].abs()
        assert float(last.max()) > 1.0
        assert float(played.observations[number, :steps].abs().max()) <= 1.0
        assert not played.observations[number, steps + 1 :].any()
        assert float(played.mask[number].sum()) == steps


def test_the_pain_reaches_the_controller_through_the_model_alone():
    """The gradient is that of finite differences, and M's weights get none where C's are asked."""
    torch.manual_seed(1)
    model = ControllerAndModel(2, model_hidden=4, controller_hidden=3).double()
    seen, actions = 0.3 * torch.randn(2, 3, 2).double(), torch.randn(2, 2, 1).double()
    weight = model.controller.output.weight

    def felt():
        return model.imagined(seen, actions, 4)[1].mean()

    (gradient,) = torch.autograd.grad(felt(), [weight])
    with torch.no_grad():
        weight[0, 1] += 1e-5
        above = float(felt())
        weight[0, 1] -= 2e-5
        below = float(felt())
    assert float(gradient[0, 1]) == pytest.approx((above - below) / 2e-5, rel=1e-5)
    assert float(pain(torch.tensor([[0.0, 0.5]]))) == pytest.approx(0.25)
    assert float(pain(torch.tensor([[100.0, 100.0]]))) == 4.0


def test_a_step_of_the_nets_is_that_of_a_sequence():
    torch.manual_seed(2)
    model = ControllerAndModel(2, model_hidden=4, controller_hidden=3)
    seen, actions = torch.randn(2, 3, 2), torch.randn(2, 3, 1)
    wanted, _ = model.world(seen, actions)
    state = torch.zeros(2, 4)
    for step in range(3):
        found, state = model.world.step(seen[:, step], actions[:, step], state)
        assert torch.allclose(found, wanted[:, step], atol=1e-6)


def test_balance_counts_steps_before_the_fall():
    class Push(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.force = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, seen, memory):
            return self.force.expand(len(seen), 1, 1), memory

    states, _, steps = balance(Push(), torch.zeros(1, 4), 100)
    assert states.shape[1] == int(steps) + 2
    assert not bool(pole.has_failed(states[0, int(steps)]))
    assert bool(pole.has_failed(states[0, int(steps) + 1]))


def test_a_replay_is_kept_by_a_checkpoint():
    model = ControllerAndModel(2)
    model._replay = Played(torch.zeros(1, 3, 2), torch.ones(1, 2), torch.tensor([2]))
    saved = {}
    model.on_save_checkpoint(saved)
    other = ControllerAndModel(2)
    other.on_load_checkpoint(saved)
    assert torch.equal(other._replay.actions, torch.ones(1, 2))


@pytest.mark.parametrize("memory", ["gru", "mdn-lstm", "rssm"])
def test_dreams_are_environments_of_gymnasium(memory):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(infinity|render_modes).*")
        check_env(DreamEnv(world(memory), max_episode_steps=7), skip_render_check=True)
    envs = Dream(world(memory), 3, temperature=1.2, max_episode_steps=4)
    first, _ = envs.reset(seed=5)
    taken = [envs.step(np.array([0, 1, 0])) for _ in range(6)]
    assert first.shape == (3, 4)
    assert first.dtype == np.float32
    again = Dream(world(memory), 3, temperature=1.2, max_episode_steps=4)
    assert np.array_equal(first, again.reset(seed=5)[0])
    assert all(np.array_equal(a[0], again.step(np.array([0, 1, 0]))[0]) for a in taken)


def test_a_dream_that_is_over_begins_anew():
    model = world(has_ends=False)
    model.starts.fill_(0.25)
    envs = Dream(model, 2, max_episode_steps=2)
    envs.reset(seed=0)
    actions = np.zeros(2, np.int64)
    steps = [envs.step(actions) for _ in range(3)]
    assert [each[3].tolist() for each in steps] == [[False] * 2, [True] * 2, [False] * 2]
    assert steps[2][1].tolist() == [0.0, 0.0]
    assert np.allclose(steps[2][0], [[0.25, 1.0, 0.25, 0.25]] * 2)  # in the world's own units


def test_what_a_dream_refuses():
    with pytest.raises(UsageError, match="temperature"):
        Dream(world(), temperature=-1.0)
    with pytest.raises(UsageError, match="temperature"):
        Dream(world(), 2, temperature=[1.0, float("nan")])
    with pytest.raises(UsageError, match="2 temperatures for 3 dreams"):
        Dream(world(), 3, temperature=[1.0, 1.0])
    with pytest.raises(UsageError, match="autoreset_mode"):
        Dream(world(), autoreset_mode="never")
    with pytest.raises(UsageError, match="is not a world model"):
        Dream(torch.nn.Linear(1, 1))
    envs = Dream(world(), 2)
    with pytest.raises(UsageError, match="before it was reset"):
        envs.step(np.zeros(2, np.int64))
    envs.reset(seed=0)
    with pytest.raises(UsageError, match="outside the space"):
        envs.step(np.array([0, 2]))
    with pytest.raises(UsageError, match="outside the space"):
        envs.step(np.array([0.7, 0.2]))
    with pytest.raises(UsageError, match="1 seeds for 2 dreams"):
        envs.reset(seed=[0])
    with pytest.raises(UsageError, match="reset_mask"):
        envs.reset(options={"reset_mask": np.array([1, 0])})
    with pytest.warns(UserWarning, match="one action only"):
        Dream(world(actions_vary=False))


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_what_becomes_of_a_dream_that_is_over(mode):
    """The modes of gymnasium's own vector environments, by one that is cut after two steps."""
    model = world(has_ends=False)
    model.starts.fill_(0.25)
    envs = Dream(model, 2, max_episode_steps=2, autoreset_mode=mode)
    theirs = gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1")], autoreset_mode=mode)
    assert envs.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    first, _ = envs.reset(seed=0)
    actions = np.array([0, 1], np.int32)
    envs.step(actions)
    ended, _, _, truncated, info = envs.step(actions)
    assert truncated.tolist() == [True, True]
    if mode == "SameStep":
        assert np.array_equal(ended, first)
        assert info["_final_obs"].tolist() == [True, True]
        assert not np.array_equal(info["final_obs"], first)
        assert not envs.step(actions)[3].any()
    elif mode == "NextStep":
        assert np.array_equal(envs.step(actions)[0], first)
    else:
        assert not np.array_equal(ended, first)
        with pytest.raises(UsageError, match=r"reset \[0, 1\] first"):
            envs.step(actions)
        part, _ = envs.reset(options={"reset_mask": np.array([True, False])})
        assert np.array_equal(part, [first[0], ended[1]])
    envs.reset()
    envs.close()
    envs.close()


def test_dreams_have_temperatures_of_their_own():
    for memory in ("mdn-lstm", "gru", "rssm"):
        model = world(memory)
        envs = Dream(model, 3, temperature=[0.0, 1.0, 0.0], max_episode_steps=9)
        same = Dream(model, 3, temperature=0.0, max_episode_steps=9)
        starts = [each.reset(seed=2)[0] for each in (envs, same)]
        assert np.array_equal(*starts)
        heated, cold = (each.step(np.zeros(3, np.int64))[0] for each in (envs, same))
        assert np.allclose(heated[[0, 2]], cold[[0, 2]], atol=1e-6)
        assert not np.allclose(heated[1], cold[1], atol=1e-3)


@pytest.mark.parametrize("memory", ["gru", "mdn-lstm", "rssm"])
def test_a_dream_stays_within_what_the_log_has(memory):
    model = world(memory)
    model.limits.copy_(torch.tensor([[-0.1], [0.2]]).expand(2, 4))
    model.paid.copy_(torch.tensor([0.5, 0.6]))
    envs = Dream(model, 3, temperature=50.0, max_episode_steps=99)
    envs.reset(seed=0)
    seen, paid, *_ = envs.step(np.zeros(3, np.int64))
    described = model.describe(torch.from_numpy(seen))
    assert described.min() >= -0.1 - 1e-6
    assert described.max() <= 0.2 + 1e-6
    assert (paid >= 0.5).all()
    assert (paid <= 0.6 + 1e-6).all()


def test_seeds_of_dreams():
    envs = Dream(world(), 2)
    runs = [envs.reset(seed=seeds)[0] for seeds in ([3, 4], [3, 4], [3, 5])]
    steps = []
    for seeds in ([3, 4], [3, 4], [3, 5]):
        envs.reset(seed=seeds)
        steps.append(envs.step(np.zeros(2, np.int64))[0])
    assert np.array_equal(runs[0], runs[1])
    assert np.array_equal(steps[0], steps[1])
    assert not np.array_equal(steps[0], steps[2])
    after = envs.reset()[0], envs.step(np.zeros(2, np.int64))[0]
    assert not np.array_equal(after[1], steps[2])


def test_a_public_ppo_trains_in_a_dream():
    library = pytest.importorskip("stable_baselines3")
    env = DreamEnv(world(), max_episode_steps=10)
    agent = library.PPO("MlpPolicy", env, n_steps=16, batch_size=8, n_epochs=1, device="cpu")
    agent.learn(32)
    assert agent.num_timesteps == 32


def test_the_memory_keeps_up_with_reality():
    """Step by step in any number of environments it is what one sequence gives."""
    model = world()
    known = []

    def choose(readout, extra):
        known.append(readout.clone())
        return torch.ones(len(readout), dtype=torch.int64)

    act = RealActing(model, choose)
    seen = torch.randn(4, 2, 4)
    for step in range(4):
        act(seen[step].numpy(), np.array([0, 7]), np.zeros(2))
    features = model.describe(seen).transpose(0, 1)
    actions = model.coded(torch.ones(2, 3, dtype=torch.int64))
    _, readouts = model.memory.losses(features[:, :-1], actions, features[:, 1:])
    assert torch.allclose(known[3], readouts[:, 2], atol=1e-6)
    with pytest.raises(UsageError, match="name no environment"):
        real_world({"environment": ""}, 1)


def test_a_clone_draws_its_actions_or_takes_the_likeliest():
    clone = BehaviorClone("CartPole-v1", [4], "discrete", 2, [], [])
    with torch.no_grad():
        clone.network[-1].weight.zero_()
        clone.network[-1].bias.copy_(torch.tensor([0.0, math.log(3.0)]))
    seen = (np.zeros((4000, 4), np.float32), np.arange(4000), np.zeros(4000))
    drawn = clone.acting()(*seen)
    assert drawn.mean() == pytest.approx(0.75, abs=0.03)
    assert np.array_equal(drawn, clone.acting()(*seen))
    clone.hparams["greedy"] = True
    assert clone.acting()(*seen).all()


def test_many_linear_controllers_are_each_alone():
    controllers = LinearControllers(3, 2)
    weights, known = torch.randn(4, controllers.size), torch.randn(4, 5, 3)
    found = controllers(weights, known)
    for number in range(4):
        matrix, bias = weights[number, :6].view(2, 3), weights[number, 6:]
        assert torch.allclose(found[number], known[number] @ matrix.T + bias, atol=1e-6)


@pytest.mark.parametrize("name", sorted(PLANNERS))
def test_planners_find_the_best_actions(name):
    """Of a return whose best plan is known."""
    wanted = torch.tensor([0.5, -0.5, 0.8]).view(1, 1, 3, 1)
    planner = PLANNERS[name](1, 3, 64 if name != "gradient" else 4, 30)
    plan = planner.plan(
        lambda plans: -(plans - wanted).square().sum((-2, -1)),
        planner.first(2),
        torch.Generator().manual_seed(0),
    )
    assert plan.shape == (2, 3, 1)
    assert torch.allclose(plan, wanted[0].expand(2, 3, 1), atol=0.15)
    assert planner.moved_on(plan)[:, :2].equal(plan[:, 1:])
    assert planner.calls == planner.samples * 30 * 3


def test_returns_by_the_truth_are_those_of_the_steps():
    start = swingup.hanging(2, torch.Generator().manual_seed(0))
    plans = torch.rand(2, 3, 4, 1) * 2 - 1
    found = by_truth(start)(plans)
    state, total = start[1:2], 0.0
    for step in range(4):
        state = swingup.swing(state, plans[1, 2, step])
        total += float(swingup.reward(state))
    assert float(found[1, 2]) == pytest.approx(total, rel=1e-5)


def test_the_rooms():
    rooms = TwoRooms(0)
    random = np.random.default_rng(0)
    assert (rooms.rooms == NOISE).sum() == 25
    assert rooms.places[rooms.start] == (2, 5)
    into_noise, _ = rooms.step(rooms.start, 3, random)
    assert rooms.rooms[into_noise] == NOISE
    there, shown = rooms.step(rooms.start, 2, random)
    assert rooms.rooms[there] != NOISE
    assert np.array_equal(shown, rooms.step(rooms.start, 2, random)[1])
    noise = [rooms.step(into_noise, 3, random)[1] for _ in range(2)]
    assert not np.array_equal(*noise)


def mean_reward(mode, noisy, steps=400):
    random = np.random.default_rng(1)
    reward = IntrinsicReward(mode, 2, 1, 16, 0.05, 20, random)
    still = random.integers(0, 2, 16).astype(float)
    paid = [
        reward(0, 0, random.integers(0, 2, 16).astype(float) if noisy else still, random)
        for _ in range(steps)
    ]
    return np.mean(paid[:100]), np.mean(paid[-100:])


def test_progress_is_bored_by_noise_and_by_what_is_known():
    assert mean_reward("error", noisy=True)[1] > 0.2
    assert mean_reward("error", noisy=False)[1] < 1e-3
    early, late = mean_reward("progress", noisy=False)
    assert early > 0.03
    assert abs(late) < 1e-3
    assert abs(mean_reward("progress", noisy=True)[1]) < 0.01
    assert mean_reward("disagreement", noisy=False)[1] < 1e-3
    assert mean_reward("rnd", noisy=False)[1] < 1e-3


def test_a_model_that_learns_nothing_makes_no_progress():
    random = np.random.default_rng(0)
    reward = IntrinsicReward("progress", 1, 1, 4, 0.0, 5, random)
    assert {reward(0, 0, random.random(4), random) for _ in range(20)} == {0.0}


def test_reality_and_dream_are_filmed_as_curves(tmp_path):
    """By `zoo predict` of a world model whose environment is known."""
    rows = world().play(tmp_path, episodes=2, max_steps=5)
    assert len(rows) == 2
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["beside-00.gif", "beside-01.gif", "dreams.png"]
    frames = curves(torch.tensor([[[0.0, 1], [0, 1]], [[1, 1], [0, 1]], [[2, 1], [0, 1]]]))
    assert [frame.shape for frame in frames] == [(128, 400, 3)] * 3
    red, black = (255, 69, 0), (0, 0, 0)
    assert [(frames[2] == color).all(-1).any() for color in (red, black)] == [True, True]


@pytest.mark.parametrize("search", ["snes", "xnes"])
def test_searches_in_dreams_are_named(search, monkeypatch):
    monkeypatch.setattr(zoo_worldmodels.controller, "trained_model", lambda name: world())
    model = DreamController("a-world", search=search, population=4)
    monkeypatch.setattr(DreamController, "_seed", 3)
    model.on_fit_start()
    assert type(model._search).__name__.lower() == search
    with pytest.raises(UsageError, match="search has to be one of snes, xnes"):
        DreamController("a-world", search="cma")
