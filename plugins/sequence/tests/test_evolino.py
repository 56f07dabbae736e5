"""Evolino: its nets against loops, its readout against the pseudo-inverse, its search."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.plugin import MissingDependencyError, UsageError
from zoo_sequence.data.sines import FREQUENCIES, SuperimposedSines, superimposed_sines
from zoo_sequence.evolino import Evolino, EvolinoNet, nmse, solved_readouts, with_one

SMALL: dict[str, Any] = {
    "model.cells": 3, "model.population": 4, "model.trials": 2, "model.washout": 5,
    "model.alone": 10, "data.sines": 1, "data.train_steps": 60, "data.test_steps": 20,
    "data.generations": 2, "trainer.enable_progress_bar": False, "trainer.accelerator": "cpu",
    "trainer.logger": False, "trainer.callbacks": [],
}  # fmt: skip


def drawn(nets: int, cells: int, channels: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(0)
    shape = (nets, 4, cells, channels + 1 + cells)
    return torch.randn(shape, generator=random, dtype=torch.float64)


def test_nets_side_by_side_are_those_of_a_loop_over_cells() -> None:
    weights, series = drawn(2, 3, 2), torch.randn(6, 2, dtype=torch.float64)
    found, (last, _) = EvolinoNet(weights, 2, input_scale=0.5).follow(series)
    for net in range(2):
        outputs, inner = [0.0] * 3, [0.0] * 3
        for step, seen in enumerate(series.tolist()):
            given = torch.tensor([0.5 * seen[0], 0.5 * seen[1], 1.0, *outputs], dtype=torch.float64)
            nets = weights[net] @ given
            for cell in range(3):
                enter, keep, leave = (float(nets[gate, cell].sigmoid()) for gate in range(3))
                inner[cell] = keep * inner[cell] + enter * float(nets[3, cell].tanh())
                outputs[cell] = leave * math.tanh(inner[cell])
            torch.testing.assert_close(found[net, step].tolist(), outputs, atol=1e-12, rtol=0)
        assert last[net].tolist() == found[net, -1].tolist()


def test_nets_that_go_on_see_what_they_tell() -> None:
    net, readouts = EvolinoNet(drawn(2, 4), 1), torch.randn(2, 5, 1, dtype=torch.float64)
    series = superimposed_sines(2, 9)
    _, state = net.follow(series)
    told, _ = net.go_on(readouts, state, 3)
    for index in range(2):
        alone = EvolinoNet(drawn(2, 4)[index : index + 1], 1)
        known = series
        for step in range(3):
            states, _ = alone.follow(known)
            following = with_one(states[0, -1]) @ readouts[index]
            torch.testing.assert_close(following, told[index, step], atol=1e-12, rtol=0)
            known = torch.cat([known, following[None]])


def test_readouts_are_those_of_the_pseudo_inverse() -> None:
    states, _ = EvolinoNet(drawn(3, 4), 1).follow(superimposed_sines(2, 40))
    seen, wanted = with_one(states), superimposed_sines(3, 40)
    seen[2, 5, 0] = torch.inf
    found = solved_readouts(seen, wanted)
    expected = torch.linalg.lstsq(seen[0], wanted, driver="gelsd").solution
    torch.testing.assert_close(found[0], expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(found[1], seen[1].pinverse() @ wanted, atol=1e-9, rtol=1e-9)
    assert found[2].isnan().all()
    ridge = solved_readouts(seen[:2], wanted, penalty=0.3)[1]
    square = seen[1].T @ seen[1] + 0.3 * torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(ridge, torch.linalg.solve(square, seen[1].T @ wanted))


def test_the_series_is_a_sum_of_sines() -> None:
    series = superimposed_sines(3, 50)
    assert float(series[7]) == pytest.approx(
        sum(float(torch.tensor(7 * f).sin()) for f in FREQUENCIES[:3]), abs=1e-5
    )
    data = SuperimposedSines(sines=3, train_steps=30, test_steps=20)
    torch.testing.assert_close(data.samples("test")[0]["series"], series)
    assert len(data.samples("train")[0]["series"]) == 30
    assert float(nmse(series[None] * 0, series - series.mean())[0]) == pytest.approx(1)
    with pytest.raises(UsageError, match="sines has to be from 1 to 5"):
        SuperimposedSines(sines=6)


def test_a_sine_is_gone_on_with(tmp_path: Path) -> None:
    pytest.importorskip("zoo_evolution")
    changes = {**SMALL, "budget": {}, "trainer.max_epochs": 2}
    whole = zoo.train("sequence/superimposed-sines", changes, out=tmp_path / "whole")
    assert whole.metrics["test/evaluations"] == 4 * 4 * 2
    assert whole.metrics["test/nmse"] < 0.01
    model: Any = zoo.load(tmp_path / "whole")
    rows = model.produce(None, steps=5)
    truth = superimposed_sines(1, 65)[60:, 0]
    torch.testing.assert_close(
        torch.tensor([row["value"] for row in rows]).double(), truth, atol=0.2, rtol=0
    )


def test_what_cannot_be_trained_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="washout takes 100 and alone 100"):
        zoo.train("sequence/superimposed-sines", {"data.train_steps": 150})
    monkeypatch.setitem(sys.modules, "zoo_evolution.optimizers", None)
    with pytest.raises(MissingDependencyError, match=r"zoo-sequence\[evolution\]"):
        Evolino(1).make_search(0)
    with pytest.raises(UsageError, match="is not trained"):
        Evolino(1).produce(None)
