"""One net for everything: its tasks and teachers, and what it replays."""

import numpy as np
import pytest
import torch

from zoo_rl.seeding import episode_seeds
from zoo_worldmodels.one import One
from zoo_worldmodels.skills import ACTIONS, OBSERVED, SKILLS, Skills, described, traces_of

CHOICES = [skill.choices for skill in SKILLS]


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_teachers_reach_what_is_written_of_them(skill):
    """The written means are those of 100 episodes; four come near."""
    seeds = episode_seeds("test", 100)[:4]
    played = skill.play(lambda seen, numbers, rewards: skill.teacher(seen), seeds)
    returns = torch.tensor([float(each.rewards.sum()) for each in played])
    assert skill.score(returns) > 0.9
    assert skill.score(torch.tensor([skill.by_chance - 100])) == 0.0
    middle = (skill.by_chance + skill.by_teacher) / 2
    assert skill.score(torch.tensor([middle])) == pytest.approx(0.5, abs=1e-4)


def test_traces_are_segments_with_what_the_teacher_advises():
    skill = SKILLS[1]  # torques in place of numbers of actions
    traces = traces_of(skill, 1, 150)
    assert traces.seen.shape == (2, 151, OBSERVED)
    assert traces.mask.sum(1).tolist() == [150, 50]
    seen = traces.seen[0, :150, :3].numpy() * np.array(skill.scales)
    assert np.mean(traces.advised[0].numpy() == skill.teacher(seen)) > 0.98  # float32 at the edges
    share = float((traces.done == traces.advised)[traces.mask > 0].float().mean())
    assert 0.85 < share < 1.0
    assert torch.equal(traces.done, traces_of(skill, 1, 150).done)


class Attached(One):
    """As in a training on the data."""

    _data = Skills(updates=2, episodes=1, length=25, seed=3)


def net(learns):
    torch.manual_seed(0)
    return Attached(OBSERVED, CHOICES, learns, hidden=8, segments=4)


def test_what_an_update_is_of():
    assert net("finetune")._tasks(2) == [2]
    assert net("joint")._tasks(2) == [0, 1, 2, 3]
    model = net("replay")
    assert model._tasks(0) == [0]
    model._remember(0)
    assert model._tasks(2) == [0, 2]


def test_old_skills_are_replayed_as_one_did_them():
    """Right after it is remembered, a skill pulls at nothing: cross-entropy is at its least."""
    model = net("replay")
    model.hparams["prediction_weight"] = 0.0
    before = model._loss(0, 0).item()
    model._remember(0)
    loss = model._loss(0, 0)
    assert loss.item() != pytest.approx(before)
    gradients = torch.autograd.grad(loss, [model.network.policy.weight])
    assert float(gradients[0].abs().max()) < 1e-6
    saved = {}
    model.on_save_checkpoint(saved)
    other = net("replay")
    other.hparams["prediction_weight"] = 0.0
    other.on_load_checkpoint(saved)
    assert other._loss(0, 0).item() == pytest.approx(loss.item())


def test_actions_that_a_task_does_not_have_are_never_chosen():
    model = net("joint")
    with torch.no_grad():
        model.network.policy.bias[2] += 100.0
    inputs = model._inputs(0, torch.zeros(1, 2, OBSERVED))
    assert model(inputs).shape == (1, 2, ACTIONS)
    assert model(inputs).argmax(-1).max() < 2
    assert (model(model._inputs(3, torch.zeros(1, 2, OBSERVED))).argmax(-1) == 2).all()


def test_the_state_of_every_episode_is_its_own():
    """Acting step by step, in any order, is what sequences give."""
    model, skill = net("joint"), SKILLS[0]
    seen = np.random.default_rng(0).normal(size=(2, 3, 4))
    act, found = model.acting(0), np.zeros((2, 3), int)
    for step in range(3):
        order = [1, 0] if step % 2 else [0, 1]
        found[order, step] = act(seen[order, step], np.array(order), np.zeros(2))
    wanted = model(model._inputs(0, described(skill, seen))).argmax(-1)
    assert np.array_equal(found, wanted.numpy())
