"""The protocol of 2021 and its memory, against the authors' equations written out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from zoo.plugin import UsageError
from zoo_fastweights.data.retrieval import Retrieval, evaluation_sample, training_sample
from zoo_fastweights.layers.feature_maps import dpfp, elu1
from zoo_fastweights.retrieval_net import RetrievalMemory, RetrievalNet


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_sequences_follow_the_protocol() -> None:
    names, values, asked, answer = training_sample(7, False, random())
    assert sorted(names.tolist()) == sorted(values.tolist()) == list(range(7))
    assert values[names == asked].tolist() == answer.tolist()
    names, values, asked, answer = training_sample(7, True, random())
    assert len(names) == 14  # twice the keys
    last = max(place for place, name in enumerate(names.tolist()) if name == int(asked))
    assert int(values[last]) == int(answer)
    names, values, asked, answers = evaluation_sample(7, True, random(3))
    assert len(names) == 7  # not twice: the authors' oddity
    present = asked[asked >= 0].tolist()
    assert present == sorted({*names.tolist()})
    for name, answer in zip(present, answers.tolist(), strict=False):
        assert (
            answer
            == [v for n, v in zip(names.tolist(), values.tolist(), strict=True) if n == name][-1]
        )
    assert len(evaluation_sample(300, False, random())[2]) == 200


def test_keys_that_come_often_are_asked_often() -> None:
    shares = [0.0, 0.0]
    for seed in range(400):
        names, _, asked, _ = training_sample(3, True, random(seed))
        counts = names.bincount(minlength=3)
        shares[0] += int(counts[asked]) / 6
        shares[1] += 1
    assert shares[0] / shares[1] > 0.38  # 1/3 if each key that occurs were as likely


@pytest.mark.parametrize("rule", ["sum", "delta", "softmax"])
@pytest.mark.parametrize("features", ["elu1", "dpfp"])
def test_the_memory_is_the_authors(rule: str, features: str) -> None:
    torch.manual_seed(0)
    memory = RetrievalMemory(5, rule, features, nu=2, dim=4).double()  # type: ignore[arg-type]
    names, values, asked, _ = training_sample(5, True, random())
    found = memory(names[None], values[None], asked[None])[0, 0]
    one_hot = F.one_hot(values, 5).double()
    embedded = memory.embedding(names)
    pairs = torch.cat([one_hot, embedded], dim=-1)
    k, q = memory.to_key(pairs), memory.to_query(memory.embedding(asked))[0]
    if rule == "softmax":
        expected = (k @ q / 2).softmax(0) @ one_hot
    else:
        phi = elu1 if features == "elu1" else (lambda x: dpfp(x, 2))
        k, q = phi(k), phi(q)
        if rule == "sum":
            weights = k @ q
            expected = weights @ one_hot / (weights.sum() + 1e-6)
        else:
            w = torch.zeros(5, k.shape[-1], dtype=torch.float64)
            for t in range(10):
                key = k[t] / k[t].sum()
                beta = memory.to_rate(pairs[t]).sigmoid()
                held = w @ key
                w = (
                    w
                    - torch.outer(held, key)
                    + torch.outer(beta * one_hot[t] + (1 - beta) * held, key)
                )
            expected = w @ (q / (q.sum() + 1e-6))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_a_silent_memory_has_a_loss_of_one_half() -> None:
    net = RetrievalNet(5, features="dpfp")
    with torch.no_grad():
        net.memory.to_query.weight.zero_()
        net.memory.to_query.bias.zero_()
    batch = [part[None] for part in evaluation_sample(5, True, random())]
    losses, _ = net.losses(batch)
    assert losses.tolist() == [0.5] * len(losses)


def test_wrong_arguments_are_refused() -> None:
    for wrong in ({"rule": "hebb"}, {"features": "relu"}, {"nu": 128}, {"keys": 1}):
        with pytest.raises(UsageError):
            RetrievalNet(**{"keys": 5, **wrong})
    with pytest.raises(UsageError, match="keys"):
        Retrieval(keys=1)
