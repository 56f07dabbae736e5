"""The sequences of 1997: what their definitions say."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from zoo.plugin import UsageError
from zoo_sequence.data import reber
from zoo_sequence.data.battery import (
    Adding,
    Multiplication,
    NoiseFree,
    TemporalOrder,
    TwoSequence,
    collate,
)
from zoo_sequence.learner import WRONG, not_largest
from zoo_sequence.lstm97 import LSTM97


@pytest.mark.parametrize("cls", [Adding, Multiplication])
def test_marked_numbers_are_summed_or_multiplied(cls: type[Adding]) -> None:
    product = cls is Multiplication
    firsts = 0
    for sample in (cls(length=20).samples("train")[i] for i in range(300)):
        values, marks = sample["inputs"].T
        assert 20 <= len(values) <= 22
        assert marks[0] == marks[-1] == -1
        places = (marks == 1).nonzero()[:, 0].tolist()
        assert all(place < 9 for place in places)
        if len(places) == 1:  # the first pair is marked, and counts as neutral
            firsts += 1
            places = [*places, None]
        a, b = (torch.tensor(float(product)) if p is None else values[p] for p in places)
        expected = a * b if product else 0.5 + (a + b) / 4
        torch.testing.assert_close(sample["targets"][-1, 0], expected)
        assert sample["mask"].sum() == 1
        assert sample["mask"][-1]
    assert firsts


def test_the_order_of_symbols_is_the_class() -> None:
    for sample in (TemporalOrder(relevant=3).samples("train")[i] for i in range(50)):
        symbols = sample["inputs"].argmax(1)
        places = (symbols >= 6).nonzero()[:, 0]
        limits = [(10, 20), (33, 43), (66, 76)]
        assert all(a <= p <= b for p, (a, b) in zip(places.tolist(), limits, strict=True))
        label = int(((symbols[places] - 6) * torch.tensor([4, 2, 1])).sum())
        assert sample["targets"][-1].argmax() == label
        assert 100 <= len(symbols) <= 110


def test_two_sequences_and_their_noise() -> None:
    plain = TwoSequence(length=30).samples("train")[0]
    assert plain["inputs"][:3].unique().tolist() == [2 * float(plain["targets"][-1]) - 1]
    noisy = TwoSequence(length=30, noise="targets")
    assert noisy.facts["tolerance"] == 0.1
    sample = noisy.samples("train")[0]
    assert {0.2, 0.8} > {round(float(sample["targets"][-1]), 4)}
    assert len(sample["inputs"][:3].unique()) == 3
    assert sample["noise"][-1] != 0


@pytest.mark.parametrize("variant", ["regular", "random", "distractors"])
def test_the_first_symbol_comes_again(variant: Any) -> None:
    for sample in (NoiseFree(lag=9, variant=variant).samples("train")[i] for i in range(20)):
        shown = sample["inputs"].argmax(1)
        if variant == "distractors":
            assert (sample["targets"][-1].argmax() == shown[1]).item()
            assert len(shown) >= 12
            continue
        assert sample["targets"][-1].argmax() == shown[0]
        assert len(shown) == 9
        assert bool(sample["mask"][0]) == (variant == "regular")


def test_embedded_strings_are_of_the_grammar() -> None:
    train, test = reber.string_sets(1)
    assert len(train) == len(test) == 256
    texts = [
        "".join(reber.SYMBOLS[i] for i in sample["inputs"].argmax(1)) for sample in (*train, *test)
    ]
    assert not set(texts[:256]) & set(texts[256:])
    assert len(set(texts[:256])) < 200  # likely strings come again
    for text, sample in zip(texts, (*train, *test), strict=True):
        assert text[0] == "B"
        assert text[1] == text[-1]
        state = 0
        for symbol in text[2:-1]:
            state = dict(reber.ARCS[state])[symbol]
        assert state == 7
        legal = sample["legal"]
        assert (sample["targets"].bool() & ~legal).sum() == 0
        assert legal.sum(1).tolist()[:2] == [2, 1]
        assert legal[-2].sum() == 1


def test_training_strings_are_picked_at_random_and_the_seed_draws_the_sets() -> None:
    picked = reber.Reber(seed=3).samples("train")
    assert all(picked[i] is picked[i] for i in range(9))
    assert len({id(picked[i]) for i in range(512)}) < 256  # more than once before all have come
    assert reber.string_sets(1) is not reber.string_sets(2)
    assert len(reber.string_sets(1)[1][0]["inputs"]) > 0


def test_streams_are_strings_joined_and_go_on_from_chunk_to_chunk() -> None:
    data = reber.ContinualReber(batch_size=2, stream=50, chunk=20, epoch=6)
    chunks = list(data.train_dataloader())
    assert [bool(chunk["begins"]) for chunk in chunks] == [True, False, False] * 2
    assert [chunk["inputs"].shape[1] for chunk in chunks] == [20, 20, 10] * 2
    inputs = torch.cat([chunk["inputs"] for chunk in chunks[:3]], 1).argmax(2)
    legal = torch.cat([chunk["targets"] for chunk in chunks[:3]], 1)
    assert legal.gather(2, inputs[:, 1:, None]).min() == 1  # each symbol was legal
    text = "".join(reber.SYMBOLS[i] for i in inputs[0])
    assert text.startswith("B")
    assert "EB" in text


def test_the_criterion_is_the_mean_error_and_a_thousand_for_each_wrong_sequence() -> None:
    data = Adding(length=10)
    batch = collate([data.samples("train")[i] for i in range(4)])
    model = LSTM97(**data.facts)
    outputs = batch["targets"].clone()
    ends = batch["mask"].nonzero()[:, 1]
    outputs[torch.arange(4), ends, 0] += torch.tensor([0.01, -0.03, 0.05, 0.0])
    loss, error, wrong = model.errors(outputs, batch)
    torch.testing.assert_close(error, torch.tensor([0.01, 0.03, 0.05, 0.0]))
    torch.testing.assert_close(loss, error.square() / 2)
    assert wrong.tolist() == [False, False, True, False]
    assert WRONG / 2000 > 0.01  # one in 2,000 keeps it above what is asked for


def test_an_output_that_is_not_legal_may_not_be_the_largest() -> None:
    outputs = torch.tensor([[[0.9, 0.1, 0.5], [0.4, 0.4, 0.1]]])
    legal = torch.tensor([[[True, False, True], [True, False, False]]])
    assert not_largest(outputs, legal).tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Adding(length=3), "length has to be 6 or more"),
        (lambda: TemporalOrder(relevant=4), "relevant has to be one of 2, 3"),
        (lambda: TwoSequence(length=5, informative=5), "take fewer"),
        (lambda: NoiseFree(variant="regulr"), "did you mean 'regular'"),
        (lambda: reber.ContinualReber(stream=10, chunk=20), "stream has to be 20 or more"),
    ],
)
def test_wrong_arguments_are_refused(make: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()
