"""Dreams that end where their log does, and controllers that begin with what the log did."""

import math

import numpy as np
import pytest
import torch

import zoo
import zoo_worldmodels.controller
from zoo.plugin import UsageError
from zoo_rl.seeding import generator
from zoo_worldmodels.cloning import BehaviorClone
from zoo_worldmodels.controller import DreamController
from zoo_worldmodels.dream import Dream, DreamEnv
from zoo_worldmodels.support import Support
from zoo_worldmodels.world_model import WorldModel

SPACE = {
    "environment": "",
    "observation_shape": [2],
    "actions": "discrete",
    "num_actions": 3,
    "action_low": [],
    "action_high": [],
}
DATA = """
data:
  {name: episodes-folder, root: LOGS, actions: discrete, num_actions: 3, batch_size: 4, length: 4,
   eval_length: 6, per_epoch: 4, val_fraction: 0, test_fraction: 0.34, items: ITEMS}
trainer: {max_epochs: 1, accelerator: cpu, logger: false, enable_progress_bar: false}
"""
CONTROLLER = """
model: {name: dream-controller, world_model: WORLD, clone: CLONE, halt: true, reads: features,
  population: 4, dreams: 2, max_steps: 5}
data: {name: dreams, generations_per_epoch: 2}
trainer: {max_epochs: 1, accelerator: cpu, logger: false, enable_progress_bar: false}
"""


def world(**changes):
    torch.manual_seed(0)
    arguments = SPACE | {"features": 2, "hidden": 4, "has_ends": False, "support": 3}
    model = WorldModel(**(arguments | changes)).eval()
    if model.support is not None:
        model.support.reach.fill_(50.0)
        model.support.worst.fill_(-7.0)
    return model


def clone(**changes):
    torch.manual_seed(1)
    return BehaviorClone(**(SPACE | changes), hidden=4).eval()


def test_a_log_knows_what_is_near_to_it():
    support = Support(4, 2)
    rows = torch.tensor([[0.0, 0], [1, 0], [2, 0], [3, 0]])
    support.keep([rows, rows + torch.tensor([0.0, 0.5])], -12.0)
    assert support.states.tolist() == [[0, 0], [2, 0], [0, 0.5], [2, 0.5]]
    assert (float(support.reach), float(support.worst)) == (0.5, -12)
    away = torch.tensor([[0.0, 0.9], [2.4, 0], [1, 0], [0, 1.1]])
    assert support.left(away).tolist() == [False, False, True, True]
    with pytest.raises(UsageError, match="has one episode"):
        support.keep([rows], 0.0)


def test_a_dream_that_leaves_its_log_ends_and_says_so():
    model, actions = world(), np.zeros(2, np.int64)
    envs = Dream(model, 2, halt=True)
    envs.reset(seed=0)
    _, rewards, terminated, _, info = envs.step(actions)
    assert not terminated.any()
    assert info["left_log"].tolist() == [False, False]
    model.support.states[:] = 999.0  # far from where dreams are
    _, rewards, terminated, _, info = envs.step(actions)
    assert rewards.tolist() == [-7.0, -7.0]
    assert terminated.all()
    assert info["left_log"].all()
    _, rewards, terminated, _, info = envs.step(actions)  # that of a new dream
    assert not terminated.any() | info["left_log"].any() | rewards.any()

    env = DreamEnv(model, halt=True, halt_reward=-1.5)
    env.reset(seed=0)
    assert env.step(0)[1:] == (-1.5, True, False, {"left_log": True})
    plain = DreamEnv(model)
    plain.reset(seed=0)
    assert plain.step(0)[2:] == (False, False, {})
    with pytest.raises(UsageError, match=r"--model\.support 2000"):
        Dream(world(support=0), 2, halt=True)


def test_a_search_begins_with_what_the_log_did(monkeypatch):
    models = {"world": world(), "clone": clone(), "other": clone(num_actions=2)}
    monkeypatch.setattr(zoo_worldmodels.controller, "trained_model", models.get)
    model = DreamController("world", reads="features", clone="clone", max_steps=3)
    known = torch.randn(5, 2)
    assert torch.allclose(model(known), models["clone"].outputs(known))
    model.weights.copy_(torch.arange(9.0))
    own = model.controllers(model.weights[None], known[None])[0]
    assert torch.allclose(model(known), models["clone"].outputs(known) + own)

    outputs = torch.tensor([[0.0, 1, -50]]).repeat(2000, 1)
    drawn = model._actions(outputs, generator(0))
    assert float(drawn.float().mean()) == pytest.approx(0.731, abs=0.03)
    twice = model._actions(outputs, generator(0), 2)  # two candidates, the same chances
    assert torch.equal(twice[:1000], twice[1000:])
    models["clone"].hparams["greedy"] = True
    assert model._actions(outputs, generator(0)).eq(1).all()

    with pytest.raises(UsageError, match="num_actions is 2, not 3"):
        DreamController("world", clone="other")
    with pytest.raises(UsageError, match="WorldModel is not a behavior-clone"):
        DreamController("world", clone="world")


def test_dreams_that_leave_the_log_are_paid_its_worst(monkeypatch):
    models = {"world": world()}
    monkeypatch.setattr(zoo_worldmodels.controller, "trained_model", models.get)
    model = DreamController("world", halt=True, max_steps=3)
    models["world"].support.states[:] = 999.0
    assert model.dream_returns(model.weights[None], 4, generator(0)).tolist() == [[-7.0] * 4]
    assert model._left == 4


def test_ends_are_drawn_as_likely_as_they_are():
    model = world(has_ends=True, last_reward=True)
    with torch.no_grad():
        model.outcome.layers[-1].weight.zero_()
        weighted = math.log(model.hparams["end_weight"]) - 1.0
        model.outcome.layers[-1].bias.copy_(torch.tensor([0.5, weighted, -9.0]))
    envs = Dream(model, 4000, draw_ends=True)
    envs.reset(seed=0)
    _, rewards, terminated, _, _ = envs.step(np.zeros(4000, np.int64))
    assert terminated.mean() == pytest.approx(0.269, abs=0.02)
    assert (rewards == np.where(terminated, -9.0, 0.5)).all()
    state = model.begin_dreams(8, generator(0))
    action = model.coded(torch.zeros(8, dtype=torch.int64))
    _, reward, ends = model.dream(state, action, generator(0), draw_ends=True, expect=True)
    assert ends.tolist() == pytest.approx([0.2689] * 8, abs=1e-4)
    assert reward.tolist() == pytest.approx([0.7311 * 0.5 - 0.2689 * 9] * 8, abs=1e-3)
    likelier = Dream(model, 8)
    likelier.reset(seed=0)
    assert likelier.step(np.zeros(8, np.int64))[2].all()  # 0.786 with the weight of an end


def test_own_logs_become_dreams_that_know_their_end(tmp_path):
    """Through recipes: what is kept of a log and of a clone is in the bundles."""
    random = np.random.default_rng(0)
    (tmp_path / "logs").mkdir()
    for number in range(3):
        np.savez(
            tmp_path / f"logs/{number}.npz",
            observations=random.normal(size=(9, 2)),
            actions=np.arange(8) % 3,
            rewards=np.full(8, -1.0 - number),
            terminated=number == 0,
        )
    for name, text in {
        "WORLD": "model: {name: world-model, hidden: 4, support: 6}"
        + DATA.replace("ITEMS", "segments"),
        "CLONE": "model: {name: behavior-clone, hidden: 4}" + DATA.replace("ITEMS", "steps"),
        "CONTROLLER": CONTROLLER,
    }.items():
        for word in ("LOGS", "WORLD", "CLONE"):
            place = word.lower() if word == "LOGS" else f"{word}-run"
            text = text.replace(word, str(tmp_path / place))
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        done = zoo.train(tmp_path / f"{name}.yaml", out=tmp_path / f"{name}-run")
    assert 0 <= done.metrics["test/left_log"] <= 1
    found = zoo.load(tmp_path / "CONTROLLER-run")
    worst = float(found.world.support.worst)
    assert worst in {-16.0, -24.0}  # eight steps of -2 or -3, as the test has the others
    assert float(found.world.support.reach) > 0
    assert found.world.support.states.abs().sum() > 0
    known = torch.randn(3, 2)
    assert not torch.equal(found(known), found.controllers(found.weights[None], known[None])[0])
