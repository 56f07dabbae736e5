"""Every optimizer: utilities, ask and tell, state, and what the papers say they are."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_evolution.methods import METHODS, make_optimizer
from zoo_evolution.objectives.functions import FUNCTIONS, ellipsoid, rotated_ellipsoid, sphere
from zoo_evolution.optimizers import ENES, PGPE, SNES, XNES, Cosyne, Esp, OpenES
from zoo_evolution.search.clip_up import clip_up
from zoo_evolution.search.enes import log_density
from zoo_evolution.search.importance_mixing import filled, kept_of_old, taken_of_new
from zoo_evolution.search.utilities import (
    centered_ranks,
    default_population,
    rank_utilities,
    shared_by_rank,
)

NEURONS = torch.arange(6).view(2, 3)


def made(name: str, seed: int = 1, **options: Any) -> Any:
    small = {"population": 8, **({"trials": 2} if name == "esp" else {}), **options}
    return make_optimizer(name, torch.full((6,), 2.0), seed, small, NEURONS)


def evaluations(search: Any, function: Any, target: float = 1e-8, budget: int = 20_000) -> int:
    while search.best_fitness < -target and search.evaluations < budget:
        search.tell(-function(search.ask()))
    return int(search.evaluations)


def test_utilities_are_those_of_the_paper_and_sum_to_zero() -> None:
    raw = [max(0.0, math.log(10 / 2 + 1) - math.log(k)) for k in range(1, 11)]
    expected = torch.tensor([each / sum(raw) - 0.1 for each in raw], dtype=torch.float64)
    assert torch.allclose(rank_utilities(10), expected, atol=1e-15)
    for count in (2, 7, 40):
        assert abs(float(rank_utilities(count).sum())) < 1e-12
        assert abs(float(centered_ranks(count).sum())) < 1e-12
    assert (default_population(1), default_population(4), default_population(10)) == (4, 8, 10)


def test_equal_fitness_shares_its_utilities() -> None:
    utilities = torch.tensor([3.0, 1.0, -1.0, -3.0], dtype=torch.float64)
    fitness = torch.tensor([5.0, 7.0, 5.0, -torch.inf], dtype=torch.float64)
    assert shared_by_rank(fitness, utilities).tolist() == [0, 3, 0, -3]


@pytest.mark.parametrize("name", ["snes", "xnes", "enes", "pgpe", "open-es"])
def test_where_all_are_equal_or_nan_nothing_is_learnt(name: str) -> None:
    for value in (1.0, math.nan):
        search = made(name)
        before = search.center.clone()
        for _ in range(3):
            search.tell(torch.full((len(search.ask()),), value))
        assert torch.allclose(search.center, before, atol=1e-12)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_state_continues_exactly_also_between_ask_and_tell(name: str) -> None:
    def run(search: Any, steps: int) -> None:
        for _ in range(steps):
            search.tell(-sphere(search.ask()))

    whole, cut = made(name), made(name)
    run(whole, 5)
    run(cut, 2)
    asked = cut.ask()
    again = made(name, seed=9)
    again.load_state_dict(cut.state_dict())
    assert torch.equal(again.ask(), asked)
    if name == "open-es":  # its noise is its seed's
        again = made(name)
        again.load_state_dict(cut.state_dict())
    run(again, 3)
    assert torch.equal(again.ask(), whole.ask())
    assert torch.equal(again.center, whole.center)
    assert (again.evaluations, again.best_fitness) == (whole.evaluations, whole.best_fitness)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_what_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="tell was called before ask"):
        made(name).tell(torch.zeros(8))
    search = made(name)
    count = len(search.ask())
    with pytest.raises(UsageError, match=f"one number for each of {count} candidates"):
        search.tell(torch.zeros(count, 1))
    with pytest.raises(UsageError, match="the population of"):
        made(name, population=0)
    with pytest.raises(UsageError, match="has no option 'popluation'; did you mean 'population'"):
        make_optimizer(name, torch.zeros(6), 0, {"popluation": 3}, NEURONS)
    with pytest.raises(UsageError, match="not at a tensor of shape"):
        make_optimizer(name, torch.tensor([math.nan] * 6), 0, {}, NEURONS)
    state = search.state_dict()
    del state["best"]
    with pytest.raises(UsageError, match="best is in only one"):
        search.load_state_dict(state)


def test_nan_is_the_worst_and_never_the_best() -> None:
    search = made("snes")
    fitness = -sphere(search.ask())
    fitness[0] = math.nan
    search.tell(fitness)
    assert search.best_fitness == float(fitness[1:].max())


def test_snes_equals_its_equations() -> None:
    search, d = SNES(torch.full((5,), 1.0), step_size=0.7, population=9, seed=4), 5
    candidates = search.ask()
    noise = (candidates - 1) / 0.7
    fitness = -ellipsoid(candidates)
    search.tell(fitness)
    mean, log_step = [1.0] * d, [math.log(0.7)] * d
    for rank, index in enumerate(fitness.argsort(descending=True).tolist()):
        utility = float(rank_utilities(9)[rank])
        for k in range(d):
            s = float(noise[index, k])
            mean[k] += 0.7 * utility * s
            log_step[k] += (3 + math.log(d)) / (5 * math.sqrt(d)) / 2 * utility * (s * s - 1)
    assert torch.allclose(search.mean, torch.tensor(mean, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(search.steps.log(), torch.tensor(log_step).double(), atol=1e-6)


def test_steps_stay_above_their_floor() -> None:
    search = SNES(torch.zeros(3), smallest_step=0.5, step_size=0.6, seed=1)
    for _ in range(200):
        search.tell(-sphere(search.ask()))
    assert float(search.steps.min()) == 0.5


def test_xnes_takes_as_long_on_a_rotated_function() -> None:
    counts = [
        sum(evaluations(XNES(torch.full((4,), 2.0), seed=seed), each) for seed in range(2))
        for each in (ellipsoid, rotated_ellipsoid)
    ]
    assert counts[0] < 8_000
    assert counts[1] == pytest.approx(counts[0], rel=0.1)


def test_snes_is_quick_where_dimensions_are_separate_and_fails_where_not() -> None:
    assert evaluations(SNES(torch.full((5,), 2.0), seed=1), ellipsoid) < 2500
    assert evaluations(SNES(torch.full((5,), 2.0), seed=1), rotated_ellipsoid, budget=5000) >= 5000


def test_xnes_keeps_its_shape_at_determinant_one() -> None:
    search = XNES(torch.full((4,), 2.0), seed=3)
    for _ in range(50):
        search.tell(-ellipsoid(search.ask()))
    assert float(torch.linalg.det(search.shape)) == pytest.approx(1, abs=1e-9)


def exact_step(search: ENES, candidates: Tensor, utilities: Tensor) -> tuple[Tensor, Tensor]:
    """The natural gradient of mean and factor by the Fisher matrix itself, inverted whole, from
    gradients that autograd gives."""
    d = search.dimension
    places = torch.triu_indices(d, d)
    mean, entries = search.mean.clone(), search.factor[places[0], places[1]].clone()

    def density(point: Tensor, center: Tensor, numbers: Tensor) -> Tensor:
        factor = torch.zeros(d, d, dtype=torch.float64).index_put((places[0], places[1]), numbers)
        return log_density(point[None], center, factor)[0]

    def gradient(point: Tensor) -> Tensor:
        center, numbers = mean.clone().requires_grad_(), entries.clone().requires_grad_()
        found = torch.autograd.grad(density(point, center, numbers), (center, numbers))
        return torch.cat(found)

    gradients = [gradient(point) for point in candidates]
    total = sum(u * g for u, g in zip(utilities, gradients, strict=True))
    # The Fisher matrix: the expected square of the gradient, by Gauss and Hermite's points.
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    fisher = torch.zeros(len(total), len(total), dtype=torch.float64)
    for a, wa in zip(nodes, weights, strict=True):
        for b, wb in zip(nodes, weights, strict=True):
            point = mean + torch.tensor([a, b], dtype=torch.float64) @ search.factor
            g = gradient(point)
            fisher += wa * wb / (2 * math.pi) * g[:, None] * g
    step = torch.linalg.solve(fisher, total)
    factor = torch.zeros(d, d, dtype=torch.float64)
    factor[places[0], places[1]] = step[d:]
    return step[:d], factor


def test_enes_inverts_the_exact_fisher_matrix() -> None:
    search = ENES(torch.tensor([0.3, -1.0]), population=12, baselines=False, lr_factor=0.1, seed=2)
    search.factor = torch.tensor([[1.3, -0.4], [0.0, 0.6]], dtype=torch.float64)
    candidates = search.ask()
    fitness = -ellipsoid(candidates)
    utilities = shared_by_rank(fitness, rank_utilities(12))
    mean_step, factor_step = exact_step(search, candidates, utilities)
    before = search.mean.clone(), search.factor.clone()
    search.tell(fitness)
    assert torch.allclose(search.mean - before[0], mean_step, atol=1e-10)
    assert torch.allclose(search.factor - before[1], 0.1 * factor_step, atol=1e-10)


def normal(mean: float, deviation: float) -> Any:
    def density(points: Tensor) -> Tensor:
        center = torch.tensor([mean], dtype=torch.float64)
        return log_density(points, center, torch.tensor([[deviation]], dtype=torch.float64))

    return density


def kolmogorov_smirnov(points: Tensor, mean: float, deviation: float) -> float:
    """The largest distance of the distribution functions times the root of the number."""
    count = len(points)
    expected = torch.distributions.Normal(mean, deviation).cdf(points[:, 0].sort().values)
    steps = torch.arange(count + 1, dtype=torch.float64) / count
    distance = torch.maximum((steps[1:] - expected).max(), (expected - steps[:-1]).max())
    return float(distance) * math.sqrt(count)


def test_importance_mixing_draws_from_the_new_distribution() -> None:
    random, count, refresh = torch.Generator().manual_seed(5), 20_000, 0.05
    old, new = normal(0.0, 1.0), normal(0.4, 0.8)

    def uniform(points: Tensor) -> Tensor:
        return torch.rand(len(points), generator=random, dtype=torch.float64)

    def draw(number: int) -> Tensor:
        return 0.4 + 0.8 * torch.randn(number, 1, generator=random, dtype=torch.float64)

    points = torch.randn(count, 1, generator=random, dtype=torch.float64)
    stay = points[kept_of_old(points, old, new, refresh, uniform(points))]
    fresh = filled(
        count - len(stay), draw, lambda z: taken_of_new(z, old, new, refresh, uniform(z))
    )
    assert kolmogorov_smirnov(torch.cat([stay, fresh]), 0.4, 0.8) < 1.63  # p > 0.01
    assert kolmogorov_smirnov(stay, 0.4, 0.8) > 3  # a part alone is of another distribution
    grid = torch.linspace(-8, 8, 4001, dtype=torch.float64)[:, None]
    kept = torch.minimum(old(grid).exp(), (1 - refresh) * new(grid).exp()).sum() * (16 / 4000)
    assert len(stay) / count == pytest.approx(float(kept), abs=0.01)


def test_importance_mixing_saves_evaluations_and_no_quality() -> None:
    counts = [
        evaluations(
            ENES(torch.full((5,), 2.0), seed=1, importance_mixing=mixing), rotated_ellipsoid
        )
        for mixing in (True, False)
    ]
    assert counts[0] < 0.6 * counts[1] < 12_000


def test_clip_up_limits_length_and_speed() -> None:
    velocity = clip_up(torch.tensor([0.0, 0.0]), torch.tensor([30.0, 40.0]), 0.1, 0.9, 0.15)
    assert torch.allclose(velocity, torch.tensor([0.06, 0.08]))
    faster = clip_up(velocity, torch.tensor([3.0, 4.0]), 0.1, 0.9, 0.15)
    assert float(faster.norm()) == pytest.approx(0.15)
    assert torch.equal(clip_up(velocity, torch.zeros(2), 0.1, 0.5, 1.0), 0.5 * velocity)


def test_pgpe_asks_in_pairs() -> None:
    search = PGPE(torch.full((4,), 3.0), population=6, step_size=0.5, seed=1)
    pairs = search.ask().view(2, 3, 4)
    assert torch.allclose(pairs.mean(0), torch.full((3, 4), 3.0, dtype=torch.float64))
    with pytest.raises(UsageError, match="of pairs: 5 is not even"):
        PGPE(torch.zeros(4), population=5)


def test_pgpe_and_open_es_come_near_the_minimum() -> None:
    for search in (
        PGPE(torch.full((5,), 2.0), population=40, step_size=0.5, seed=1),
        OpenES(torch.full((5,), 2.0), population=40, step_size=0.1, lr=0.1, seed=1),
    ):
        assert evaluations(search, sphere, 0.05, 10_000) < 10_000


def test_noise_from_seeds_is_that_of_the_whole_population() -> None:
    one, other = (OpenES(torch.ones(7), population=6, seed=3) for _ in range(2))
    for _ in range(3):
        candidates = one.ask()
        assert torch.equal(other.candidate(4), candidates[4])
        fitness = -sphere(candidates)
        one.tell(fitness)
        other.tell_scores(fitness)
        assert torch.equal(one.mean, other.mean)
    assert (one.best_fitness, one.evaluations) == (other.best_fitness, other.evaluations)
    assert torch.equal(one.best, other.best)


@pytest.mark.parametrize(("permute", "elites"), [("all", 0), ("all", 2), ("by-fitness", 0)])
def test_cosyne_permutes_each_weight_among_those_that_are_no_children(
    permute: Literal["all", "by-fitness"], elites: int
) -> None:
    search = Cosyne(torch.zeros(5), population=12, permute=permute, elites=elites, seed=4)
    genomes = search.ask()
    fitness = -sphere(genomes)
    search.tell(fitness)
    kept = genomes[fitness.argsort(descending=True)][:9]
    assert torch.equal(search.genomes[:9].sort(0).values, kept.sort(0).values)
    assert not torch.equal(search.genomes[:9], kept)
    stay = 1 if permute == "by-fitness" else elites  # by fitness the best of all keeps its weights
    assert torch.equal(search.genomes[:stay], kept[:stay])
    with pytest.raises(UsageError, match="elites of CoSyNE has to be from 0 to 8"):
        Cosyne(torch.zeros(5), population=12, elites=9)


def test_esp_ranks_neurons_by_the_nets_they_were_in() -> None:
    search = Esp(torch.zeros(6), NEURONS, population=8, trials=3, seed=1)
    nets = search.ask()
    assert len(nets) == 24
    for trial in nets.view(3, 8, 6):
        for places in NEURONS:  # each neuron once in each trial
            found, there = trial[:, places], search.genomes[:, places]
            assert torch.equal(found.sort(0).values, there.sort(0).values)
    wanted = search.genomes[5, NEURONS[0]]
    fitness = (nets[:, NEURONS[0]] == wanted).all(1).double()
    search.tell(fitness)
    assert torch.equal(search.genomes[0, NEURONS[0]], wanted)


def test_esp_bursts_around_the_best_when_nothing_improves() -> None:
    search = Esp(torch.zeros(6), NEURONS, population=8, trials=1, patience=3, seed=1)
    search.ask()
    search.tell(torch.arange(8.0))
    for _ in range(3):
        search.tell(torch.zeros(len(search.ask())))
    assert search.bursts == 1
    assert float((search.genomes - search.best).abs().median()) < 1


def test_functions_have_their_minima() -> None:
    zero = torch.zeros(1, 4, dtype=torch.float64)
    for name in ("sphere", "ellipsoid", "rotated-ellipsoid", "cigar", "tablet"):
        assert float(FUNCTIONS[name][0](zero)) == 0
    assert float(FUNCTIONS["rosenbrock"][0](zero + 1)) == 0
    pair = torch.tensor([[0.0, 0, 0, 2 ** (1 / 6), 0, 0]], dtype=torch.float64)
    assert float(FUNCTIONS["lennard-jones"][0](pair)) == pytest.approx(-1)
