"""Generated tasks: multi-query recall and the flip-flop."""

from __future__ import annotations

import pytest
import torch

from zoo.plugin import UsageError
from zoo_fastweights.data.flip_flop import FlipFlop
from zoo_fastweights.data.mqar import MQAR, NOTHING, recall_sequence
from zoo_fastweights.flip_flop import FlipFlop1992
from zoo_fastweights.plots import line_picture


def test_recall_sequences_are_zoologys() -> None:
    for seed in range(5):
        symbols, targets = recall_sequence(40, 32, 6, torch.Generator().manual_seed(seed))
        keys, values = symbols[:12:2], symbols[1:12:2]
        assert len(set(keys.tolist())) == len(set(values.tolist())) == 6
        assert ((keys >= 1) & (keys < 20)).all()
        assert (values >= 20).all()
        asked = (targets != NOTHING).nonzero()[:, 0]
        assert len(asked) == 6
        assert ((asked >= 12) & (asked % 2 == 0)).all()
        table = dict(zip(keys.tolist(), values.tolist(), strict=True))
        assert [table[int(symbols[place])] for place in asked] == targets[asked].tolist()


def test_recall_refuses_what_does_not_fit() -> None:
    with pytest.raises(UsageError, match="need 64"):
        MQAR(length=32, pairs=[16])
    with pytest.raises(UsageError, match="even number above 8"):
        MQAR(vocab_size=8, pairs=[4])
    with pytest.raises(UsageError, match="from 1"):
        MQAR(pairs=[])


def test_recall_is_drawn_though_no_place_is_asked_beside_another() -> None:
    (line,) = line_picture({"accuracy": [0.5, float("nan"), 1.0]}, "place", "share").axes[0].lines
    assert line.get_marker() == "."
    (whole,) = line_picture({"accuracy": [0.5, 1.0]}, "place", "share").axes[0].lines
    assert whole.get_marker() == ""


def test_the_first_b_after_an_a_counts_over_batches() -> None:
    data = FlipFlop(batch_size=7)
    batches = iter(data.train_dataloader())
    events, targets = (
        torch.cat(parts) for parts in zip(*(next(batches) for _ in range(6)), strict=True)
    )
    armed = False
    for event, target in zip(events.argmax(-1).tolist(), targets.tolist(), strict=True):
        assert target == (event == 1 and armed)
        armed = event == 0 or (armed and event != 1)


def test_the_programmer_of_1991_solves_its_task() -> None:
    torch.manual_seed(0)
    model = FlipFlop1992()
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    samples = FlipFlop(seed=2).train_dataloader().dataset
    for number in range(2000):
        if model.solved_at:
            break
        model.learn(*samples[number], optimizer)
    assert 100 < int(model.solved_at) < 2000
    events, targets = map(torch.stack, zip(*(samples[n] for n in range(5000, 5100)), strict=True))
    answers, held = model.answers(events)
    assert ((answers - targets).abs() <= 0.1).float().mean() > 0.95
    assert ((held > 0) & (held < 1)).all()
