"""The fovea: what it sees, what moves it, and through what it learns."""

import pytest
import torch

from zoo_worldmodels.fovea import FoveaController, real_with_gradient
from zoo_worldmodels.fovea_scenes import (
    ACROSS,
    FINE,
    GROUND,
    INPUTS,
    LEVELS,
    REACH,
    SIDE,
    Fovea,
    FoveaScenes,
    Scenes,
    random_starts,
)


def scene(*, at):
    """One black picture with one white pixel, and where a fovea looks in it."""
    picture = torch.zeros(1, SIDE, SIDE)
    picture[0, 20, 30] = 1.0  # row, column
    return Fovea(Scenes(picture + GROUND, torch.tensor([[30.0, 20.0]])), torch.tensor([at]))


def test_fields_are_fine_in_the_middle_and_coarse_outside():
    seen = scene(at=(30.0, 20.0)).look()[0]
    assert seen.shape == (INPUTS,)
    for level, (_, side) in enumerate(LEVELS):
        fields = seen[level * FINE : (level + 1) * FINE].view(ACROSS, ACROSS)
        assert float(fields[ACROSS // 2, ACROSS // 2]) == pytest.approx(1 / side**2, rel=1e-4)
    # Far off it is seen by the coarsest alone, by the field that lies over it: left and above.
    away = scene(at=(30.0 + 36, 20.0 + 18)).look()[0]
    assert not away[: 2 * FINE].any()
    rows, columns = away[2 * FINE :].view(ACROSS, ACROSS).nonzero().unbind(1)
    assert (rows.tolist(), columns.tolist()) == ([1], [0])


def test_moves_are_along_columns_and_rows_and_end_at_the_edge():
    fovea = scene(at=(30.0, 20.0))
    fovea.move(torch.tensor([[0.5, -0.25]]))
    assert fovea.places[0].tolist() == pytest.approx([30 + 0.5 * REACH, 20 - 0.25 * REACH])
    assert float(fovea.distances) == pytest.approx(torch.tensor([6.0, -3.0]).norm().item())
    for _ in range(9):
        fovea.move(torch.ones(1, 2))
    assert fovea.places[0].tolist() == [SIDE - 1] * 2


def test_starts_of_a_part_are_always_the_same_and_of_that_part_alone():
    data = FoveaScenes(val_starts=3, test_starts=3, seed=7)
    first, again = data.starts("test", 0), FoveaScenes(test_starts=3, seed=8).starts("test", 0)
    assert torch.equal(first.places, again.places)
    assert torch.equal(first.scenes.pictures, again.scenes.pictures)
    assert not torch.equal(first.places, data.starts("val", 0).places)
    wanted = GROUND + data.wanted()[:FINE].view(ACROSS, ACROSS)
    assert float(wanted[1:4, 1:4].min()) > 0.8
    assert float(wanted[0, 0]) < 0.4
    assert data.anywhere().shape == (1024, INPUTS)


class Attached(FoveaController):
    """As in a training on the data."""

    _data = FoveaScenes(moves=3)


def test_the_pain_reaches_the_moves_through_the_model_alone():
    """What is seen is real, its gradient is the model's, and a model that is flat gives none."""
    real, predicted = torch.tensor([1.0, 2.0]), torch.tensor([5.0, 5.0], requires_grad=True)
    shown = real_with_gradient(real, 3 * predicted)
    assert shown.tolist() == real.tolist()
    shown.sum().backward()
    assert predicted.grad.tolist() == [3.0, 3.0]

    torch.manual_seed(0)
    model = Attached(INPUTS, FINE, model_hidden=8, controller_hidden=6, pictures=4, random_share=0)
    random = torch.Generator().manual_seed(0)
    pain, before, moves, after = model._explore(random, None)
    assert (before.shape, moves.shape, after.shape) == ((12, INPUTS), (12, 2), (12, INPUTS))
    weights = list(model.controller.parameters())
    assert any(bool(each.any()) for each in torch.autograd.grad(pain, weights))
    torch.nn.init.zeros_(model.world.gates[4].weight)
    torch.nn.init.zeros_(model.world.gates[4].bias)
    torch.nn.init.zeros_(model.world.output.weight)
    pain, *_ = model._explore(random, None)
    flat = torch.autograd.grad(pain, weights)
    # Through what is seen the state of C still depends on earlier moves, by the identity in M: none
    # of it on a move.
    assert not any(bool(each.any()) for each in flat)


def test_the_pain_falls_all_the_way_to_the_target():
    """Also where the middle sees nothing of it yet, unlike the pain of the middle alone."""
    way = torch.tensor([36.0, 24, 14, 0])
    pains = {}
    for broad in (0.0, 0.5):
        model = Attached(INPUTS, FINE, model_hidden=4, controller_hidden=4, broad=broad)
        model.on_fit_start()
        disc = torch.hypot(torch.arange(SIDE) - 55.0, torch.arange(SIDE)[:, None] - 32.0)
        scenes = Scenes(GROUND + 0.8 * (disc[None] < 4).float(), torch.tensor([[55.0, 32.0]]))
        places = torch.stack([55 - way, torch.full_like(way, 32.0)], 1)
        seen = [Fovea(scenes, place[None]).look() for place in places]
        pains[broad] = model.pain(torch.cat(seen))
    assert float(model.around.sum()) == pytest.approx(1)
    assert pains[0.0][:3].diff().abs().max() < 1e-6
    assert (pains[0.5].diff() < -0.01).all()
    assert float(pains[0.5][3]) < 0.1


def test_random_moves_alone_leave_nothing_to_the_controller():
    torch.manual_seed(0)
    model = Attached(INPUTS, FINE, model_hidden=4, controller_hidden=4, pictures=2)
    pain, *_ = model._explore(torch.Generator().manual_seed(0), 1.0)
    weights = list(model.controller.parameters())
    assert not any(bool(each.any()) for each in torch.autograd.grad(pain, weights))


def test_ways_are_recorded(tmp_path):
    model = FoveaController(INPUTS, FINE, model_hidden=4, controller_hidden=4)
    rows = model.play(tmp_path, episodes=2, moves=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "episode-00.gif",
        "episode-01.gif",
        "paths.png",
    ]
    assert [row["found"] for row in rows] == [row["distance"] <= 2 for row in rows]
    assert random_starts(2, torch.Generator().manual_seed(0)).look().shape == (2, INPUTS)
