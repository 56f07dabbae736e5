"""Poles, arm, episodes, policies and encodings against slow and plain versions of them."""

from __future__ import annotations

from math import cos, pi, radians, sin, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_evolution.encodings.dct import Dct, diagonal_order
from zoo_evolution.encodings.subset import ParameterSubset
from zoo_evolution.policies.base import Controllers
from zoo_evolution.policies.fast_weights import FastWeights
from zoo_evolution.policies.named import POLICIES, make_policy
from zoo_evolution.policies.recurrent import FullyRecurrent, Lstm
from zoo_evolution.tasks.named import make_task
from zoo_evolution.tasks.octopus.physics import ArmPhysics
from zoo_evolution.tasks.octopus.reaching import OctopusArm, observe
from zoo_evolution.tasks.poles.balancing import PoleBalancing, as_force
from zoo_evolution.tasks.poles.physics import (
    CART_FRICTION,
    CART_MASS,
    GRAVITY,
    ONE,
    POLE_FRICTION,
    TAU,
    TWO,
    CartPhysics,
    Poles,
)
from zoo_evolution.tasks.poles.scalar import ScalarCart

BALANCING = torch.tensor([-0.622, -3.919, 4.117, -1.143], dtype=torch.float64)
"""A unit found by SNES, which balances two poles."""


def plain_acceleration(poles: Poles, state: list[float], force: float) -> list[float]:
    """The equations of the appendix, pole by pole; a state is the positions of the cart and of each
    pole, then their velocities."""
    count = len(poles.masses)
    cart_speed = state[count + 1]
    pushes, total = 0.0, CART_MASS
    pulls, cosines = [], []
    for number in range(count):
        mass, length = poles.masses[number], poles.half_lengths[number]
        angle, turn = state[1 + number], state[count + 2 + number]
        sine, cosine = sin(angle), cos(angle)
        pull = POLE_FRICTION * turn / (mass * length) + GRAVITY * sine
        pushes += mass * length * turn * turn * sine + 0.75 * mass * cosine * pull
        total += mass * (1 - 0.75 * cosine * cosine)
        pulls.append(pull)
        cosines.append(cosine)
    direction = (cart_speed > 0) - (cart_speed < 0)
    cart = (force - CART_FRICTION * direction + pushes) / total
    turns = [
        -0.75 / length * (cart * cosine + pull)
        for length, cosine, pull in zip(poles.half_lengths, cosines, pulls, strict=True)
    ]
    return [cart, *turns]


def plain_step(poles: Poles, state: list[float], force: float) -> list[float]:
    """The state a control step of 0.02 s later."""
    return plain_integrate(poles, plain_integrate(poles, state, force), force)


def plain_integrate(poles: Poles, state: list[float], force: float) -> list[float]:
    half = len(state) // 2

    def slope(at: list[float]) -> list[float]:
        return at[half:] + plain_acceleration(poles, at, force)

    first = slope(state)
    second = slope([s + TAU / 2 * k for s, k in zip(state, first, strict=True)])
    third = slope([s + TAU / 2 * k for s, k in zip(state, second, strict=True)])
    fourth = slope([s + TAU * k for s, k in zip(state, third, strict=True)])
    return [
        s + TAU / 6 * (a + 2 * (b + c) + d)
        for s, a, b, c, d in zip(state, first, second, third, fourth, strict=True)
    ]


@pytest.mark.parametrize("poles", [ONE, TWO], ids=["one", "two"])
def test_carts_move_as_in_the_plain_equations(poles: Poles) -> None:
    random, count = torch.Generator().manual_seed(1), len(poles.masses)
    physics, lanes = CartPhysics(poles), 40
    state = torch.randn(2, 1 + count, lanes, generator=random, dtype=torch.float64)
    force = 10 * torch.randn(lanes, generator=random, dtype=torch.float64)
    stepped = physics.step(state, force)
    for lane in range(lanes):
        before = state[:, :, lane].flatten().tolist()
        after = plain_step(poles, before, float(force[lane]))
        assert stepped[:, :, lane].flatten().tolist() == pytest.approx(after, abs=1e-12)
        if count == 2:
            alone = ScalarCart(poles).step(tuple(before), float(force[lane]))  # type: ignore[arg-type]
            assert list(alone) == pytest.approx(after, abs=1e-12)


def test_a_thousand_steps_under_control_stay_within_a_billionth_of_a_millimeter() -> None:
    physics, task = CartPhysics(TWO), PoleBalancing()
    first, second = (Controllers(FullyRecurrent(3, 1), BALANCING[None]) for _ in range(2))
    state, plain = task.start(1), task.start(1).flatten().tolist()
    scale = torch.tensor([2.4, radians(36), radians(36)], dtype=torch.float64)
    for _ in range(1000):
        state = physics.step(state, as_force(first.act(state[0].T / scale)[:, 0]))
        seen = torch.tensor([plain[:3]], dtype=torch.float64) / scale
        plain = plain_step(TWO, plain, float(as_force(second.act(seen)[:, 0])))
    assert state.flatten().tolist() == pytest.approx(plain, abs=1e-12)
    assert not bool(task.failed(state))


def test_poles_left_alone_fall_in_the_time_that_the_equations_give() -> None:
    for poles, task in ((ONE, PoleBalancing(poles=1)), (TWO, PoleBalancing())):
        physics, state, steps = CartPhysics(poles), task.start(1), 0
        while float(state[0, 1].abs()) < radians(36):
            state, steps = physics.step(state, torch.zeros(1, dtype=torch.float64)), steps + 1
        assert 0.6 < steps * 0.02 < 0.9


def test_played_together_and_alone_is_the_same() -> None:
    random, task, policy = torch.Generator().manual_seed(2), PoleBalancing(), FullyRecurrent(3, 1)
    weights = torch.randn(10, policy.size, generator=random, dtype=torch.float64) * 3
    weights = torch.cat([weights, BALANCING[None]])
    alone = task.balance(policy, weights, task.start(11), 300)
    together = task._balance_together(policy, weights, task.start(11), 300)
    assert torch.equal(alone[0], together[0])
    assert torch.allclose(alone[1], together[1], atol=1e-6)
    assert int(alone[0][-1]) == 300
    assert int(alone[0].min()) < 100


def test_damping_fitness_is_that_of_gruau() -> None:
    task, policy, steps = PoleBalancing(fitness="damping"), FullyRecurrent(3, 1), 1000
    state = task.start(1).flatten().tolist()
    act, swings = policy.single(BALANCING), []
    for _ in range(steps):
        action = act([state[0] / 2.4, state[1] / radians(36), state[2] / radians(36)])[0]
        state = plain_step(TWO, state, float(as_force(torch.tensor(action, dtype=torch.float64))))
        swings.append(abs(state[0]) + abs(state[1]) + abs(state[3]) + abs(state[4]))
    expected = 0.1 + 0.9 * 0.75 / sum(swings[-100:])
    outcome = task.evaluate(policy, BALANCING[None], (0, 0))
    assert float(outcome.fitness) == pytest.approx(expected, rel=1e-9)


def test_a_solution_is_confirmed_and_counted_up_to_it() -> None:
    task, policy = PoleBalancing(long_run=1500), FullyRecurrent(3, 1)
    weights = torch.stack([0 * BALANCING, BALANCING, BALANCING])
    outcome = task.evaluate(policy, weights, (0, 0))
    assert (outcome.solver, outcome.counted) == (1, 2)
    assert outcome.steps.tolist()[1] == 1500


def test_many_that_last_a_trial_are_confirmed_as_one_is() -> None:
    task, policy = PoleBalancing(long_run=1200), FullyRecurrent(3, 1)
    few = torch.stack([0 * BALANCING, BALANCING])
    many = torch.cat([few[:1], BALANCING.expand(20, -1)])
    alone, together = (task.evaluate(policy, each, (0, 0)) for each in (few, many))
    assert (together.solver, together.counted) == (alone.solver, alone.counted) == (1, 2)
    assert int(together.steps[0]) == int(alone.steps[0]) < 1000


def test_whether_a_net_generalizes_is_asked_once_for_each_net(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, asked = PoleBalancing(fitness="damping"), []
    monkeypatch.setattr(task, "generalization", lambda *net: asked.append(net) or 200)
    for policy in (FullyRecurrent(3, 1), FullyRecurrent(3, 1)):
        assert task.generalizes(policy, BALANCING)
        assert task.generalizes(policy, BALANCING)
    assert len(asked) == 2
    for number in range(100):
        assert task.generalizes(policy, BALANCING + number)
    assert len(task._generalizing) == 64


def test_forces_are_never_weaker_than_the_least() -> None:
    lifted = as_force(torch.tensor([0.0, -0.0001, 0.5, -1.0]))
    assert lifted.tolist() == pytest.approx([10 / 256, -10 / 256, 5, -10])


def plain_arm_force(arms: Any, activation: Tensor) -> np.ndarray:
    """Forces of one arm, mass by mass; pressure as the gradient of the areas by differences."""
    from zoo_evolution.tasks.octopus import physics as constants

    position, velocity = arms.position[0].numpy(), arms.velocity[0].numpy()
    rest = ArmPhysics().start(torch.zeros(1, dtype=torch.float64)).position[0].numpy()
    force = np.zeros_like(position)

    def muscle(one: Any, other: Any, strength: float) -> None:
        edge = position[other] - position[one]
        length, at_rest = np.linalg.norm(edge), np.linalg.norm(rest[other] - rest[one])
        speed = (velocity[other] - velocity[one]) @ edge / length
        tension = constants.SPRING * (length - at_rest) + constants.DAMPING * speed
        tension += constants.MUSCLE * strength * max(0.0, length - at_rest / 2)
        force[one] += tension * edge / length
        force[other] -= tension * edge / length

    def drag(one: Any, other: Any) -> None:
        edge = position[other] - position[one]
        length = np.linalg.norm(edge)
        along, speed = edge / length, (velocity[one] + velocity[other]) / 2
        fast = speed @ along
        across = speed - fast * along
        water = constants.DRAG_ALONG * fast * abs(fast) * along
        water = water + constants.DRAG_ACROSS * across * np.linalg.norm(across)
        force[one] -= length * water / 2
        force[other] -= length * water / 2

    def area(places: np.ndarray, k: int) -> float:
        corners = [places[1, k], places[1, k + 1], places[0, k + 1], places[0, k]]
        pairs = zip(corners, corners[1:] + corners[:1], strict=True)
        return sum(a[0] * b[1] - a[1] * b[0] for a, b in pairs) / 2

    for k in range(10):
        width = rest[0, k + 1, 1] - rest[1, k + 1, 1]
        muscle((0, k), (0, k + 1), float(activation[k]) * width)
        muscle((0, k + 1), (1, k + 1), float(activation[10 + k]))
        muscle((1, k), (1, k + 1), float(activation[20 + k]) * width)
        drag((0, k), (0, k + 1))
        drag((1, k), (1, k + 1))
        pressure = constants.STIFFNESS * (1 - area(position, k) / area(rest, k))
        for corner in ((1, k), (1, k + 1), (0, k + 1), (0, k)):
            for axis in (0, 1):
                up, down = position.copy(), position.copy()
                up[corner][axis] += 0.5
                down[corner][axis] -= 0.5
                force[corner][axis] += pressure * (area(up, k) - area(down, k))
    return force


def test_the_arm_is_pushed_as_mass_by_mass() -> None:
    random, physics = torch.Generator().manual_seed(1), ArmPhysics()
    arms = physics.start(torch.tensor([0.4], dtype=torch.float64))
    for _ in range(5):
        actions = torch.rand(1, 32, generator=random, dtype=torch.float64)
        arms = physics.control(arms, actions)
    forces = physics.forces(arms, actions[:, 1:31])[0].numpy()
    assert np.allclose(forces, plain_arm_force(arms, actions[0, 1:31]), atol=1e-11)


def test_the_arm_keeps_its_areas_rests_and_bends_to_the_side_that_pulls() -> None:
    random, physics = torch.Generator().manual_seed(3), ArmPhysics()
    straight = physics.start(torch.zeros(1, dtype=torch.float64))
    nothing = torch.zeros(1, 32, dtype=torch.float64)
    assert float(physics.forces(straight, nothing[:, :30]).abs().max()) < 1e-10
    still = straight
    for _ in range(20):
        still = physics.control(still, nothing)
    assert torch.allclose(still.position, straight.position, atol=1e-9)
    arms, worst = straight, 0.0
    for _ in range(40):
        muscles = (torch.rand(1, 30, generator=random, dtype=torch.float64) < 0.5).double()
        arms = physics.control(arms, torch.nn.functional.pad(muscles, (1, 1)))
        corners = torch.stack([arms.position[0, 1], arms.position[0, 0]])
        a, b, c, d = corners[0, :-1], corners[0, 1:], corners[1, 1:], corners[1, :-1]
        area = ((c - a)[:, 0] * (d - b)[:, 1] - (c - a)[:, 1] * (d - b)[:, 0]) / 2
        rest = (torch.linspace(1, 0.2, 11)[1:] + torch.linspace(1, 0.2, 11)[:-1]) / 2
        worst = max(worst, float((area / rest - 1).abs().max()))
    assert worst < 0.05
    bent = nothing.clone()
    bent[:, 1:11] = 1
    arms, turned = straight, straight
    for _ in range(20):
        arms = physics.control(arms, bent)
    assert float(arms.position[0, :, -1, 1].mean()) > 0.2
    turned = physics.control(turned, torch.nn.functional.pad(nothing[:, 1:], (1, 0), value=1.0))
    assert float(turned.angle) > 0


def test_the_arm_sees_82_numbers_and_its_net_has_3680_weights() -> None:
    arms = ArmPhysics().start(torch.tensor([0.1, 0.2], dtype=torch.float64))
    assert observe(arms).shape == (2, 82)
    assert FullyRecurrent(82, 32, 32, bias=True).size == 3680
    assert FullyRecurrent(1024, 32, 32, bias=True).size == 33_824
    task = OctopusArm(steps=2)
    outcome = task.evaluate(FullyRecurrent(82, 32, 32, True), torch.zeros(2, 3680), (0, 0))
    assert torch.allclose(outcome.fitness, torch.zeros(2, dtype=torch.float64), atol=1e-9)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_population_acts_as_its_individuals_do(name: str) -> None:
    random, policy = torch.Generator().manual_seed(4), make_policy(name, 3, 2, 3, True)
    vectors = torch.randn(5, policy.size, generator=random, dtype=torch.float64)
    seen = torch.randn(4, 5, 3, generator=random, dtype=torch.float64)
    together = Controllers(policy, vectors)
    singles = [policy.single(vector) for vector in vectors]
    for observed in seen:
        actions = together.act(observed)
        assert actions.shape == (5, 2)
        alone = [act(row.tolist()) for act, row in zip(singles, observed, strict=True)]
        assert torch.allclose(actions, torch.tensor(alone, dtype=torch.float64), atol=1e-12)
    kept = Controllers(policy, vectors)
    kept.act(seen[0])
    kept.keep(torch.tensor([3, 1]))
    again = Controllers(policy, vectors)
    again.act(seen[0])
    assert torch.allclose(kept.act(seen[1][[3, 1]]), again.act(seen[1])[[3, 1]], atol=1e-12)


def test_lstm_is_torchs() -> None:
    policy, vector = Lstm(3, 2, 4), torch.randn(1, Lstm(3, 2, 4).size)
    into, back, out, bias, shift = (each[0] for each in policy.split(vector))
    reference = torch.nn.LSTMCell(3, 4)
    state = {"weight_ih": into, "weight_hh": back, "bias_ih": bias, "bias_hh": 0 * bias}
    reference.load_state_dict(state)
    controllers, memory = Controllers(policy, vector), None
    for seen in torch.randn(3, 1, 3):
        memory = reference(seen, memory)
        assert torch.allclose(controllers.act(seen), (memory[0] @ out.T + shift).tanh(), atol=1e-6)


def test_fast_weights_are_written_by_the_slow_net() -> None:
    policy = FastWeights(2, 1, hidden=2)
    vector = torch.randn(1, policy.size, dtype=torch.float64)
    into, out, back = (each[0] for each in policy.split(vector))
    units, controllers = torch.zeros(2, dtype=torch.float64), Controllers(policy, vector)
    for seen in torch.randn(3, 2, dtype=torch.float64):
        units = (into @ seen + back @ units).tanh()
        fast = out @ units
        expected = (fast[0] * seen[0] + fast[1] * seen[1] + fast[2]).tanh()
        assert torch.allclose(controllers.act(seen[None])[0, 0], expected)


def test_neurons_hold_every_weight_once() -> None:
    for policy in (FullyRecurrent(3, 1, 4, bias=True), make_policy("elman", 3, 2, 4, False)):
        neurons = policy.neurons
        assert neurons is not None
        assert sorted(neurons.flatten().tolist()) == list(range(policy.size))


def test_all_coefficients_give_any_weights() -> None:
    shapes = ((4, 3), (4, 4), (4,), (2, 3, 4))
    encoding = Dct(shapes, 56)
    wanted = torch.randn(3, 56, dtype=torch.float64)
    basis = encoding.decode(torch.eye(56, dtype=torch.float64))
    found = torch.linalg.solve(basis.T, wanted.T).T
    assert torch.allclose(encoding.decode(found), wanted, atol=1e-10)


def test_coefficients_are_cosines_from_the_low_frequencies_on() -> None:
    assert diagonal_order((3, 3), 5) == [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1)]
    weights = Dct(((3, 4),), 3).decode(torch.tensor([[0.0, 1.0, 0.0]]).double())[0].view(3, 4)
    row = [sqrt(2) * cos(pi / 4 * (place + 0.5)) for place in range(4)]
    assert torch.allclose(weights, torch.tensor([row] * 3, dtype=torch.float64))
    with pytest.raises(UsageError, match="set coefficients from 2 to 8"):
        Dct(((2, 2), (4,)), 1)


def test_some_of_a_modules_parameters_are_searched() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    subset = ParameterSubset(module, "2.")
    assert subset.names == ["2.weight", "2.bias"]
    assert subset.size == 10
    inputs, vectors = torch.randn(5, 3), torch.randn(6, 10)
    together = subset.outputs(vectors, inputs)
    for vector, output in zip(vectors, together, strict=True):
        subset.load(vector)
        assert torch.allclose(module(inputs), output, atol=1e-6)
        assert torch.equal(subset.start.float(), vector)
    with pytest.raises(UsageError, match="no parameter whose name begins with 'head'"):
        ParameterSubset(module, "head")


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"name": "pole-balncing"}, "did you mean 'pole-balancing'"),
        ({"name": "pole-balancing", "poles": 3}, "poles has to be one of 1, 2"),
        ({"name": "pole-balancing", "fitness": "step"}, "did you mean 'steps'"),
        ({"name": "octopus-arm", "steps": 0}, "steps has to be 1 or more"),
        ({"name": "gymnasium", "environment": "CartPole-v9"}, "CartPole-v1"),
        ({"name": "gymnasium", "episodes": 0}, "episodes has to be 1 or more"),
    ],
)
def test_tasks_that_there_are_not_are_refused(description: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_task(description)


def test_nets_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="set hidden to 2 or more"):
        make_policy("recurrent", 3, 2, 1, False)
    with pytest.raises(UsageError, match="did you mean 'lstm'"):
        make_policy("lsmt", 3, 2, 1, False)


def test_episodes_of_a_generation_are_the_same_for_all() -> None:
    task = make_task({"name": "gymnasium", "episodes": 2, "max_episode_steps": 40})
    policy = make_policy("feed-forward", 4, 2, 2, True)
    weights = torch.randn(1, policy.size, generator=torch.Generator().manual_seed(1)).expand(3, -1)
    outcome = task.evaluate(policy, weights, (1, 0))
    assert len(set(outcome.fitness.tolist())) == 1
    assert outcome.fitness.tolist() == (outcome.steps.double() / 2).tolist()  # a reward a step
    lone = task.evaluate(policy, weights[:1], (1, 0))
    assert float(lone.fitness) == float(outcome.fitness[0])
    figures, frames = task.play(policy, weights[0], 0, film=False)
    assert figures["steps"] >= 8
    assert not frames
