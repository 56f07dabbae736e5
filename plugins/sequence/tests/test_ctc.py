"""CTC and its decoders against all paths, one by one."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo_sequence import ctc
from zoo_sequence.edit_distance import ErrorRate, edit_distance


def drawn(steps: int, symbols: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(steps, symbols, generator=random, dtype=torch.float64)
    return (2 * noise).log_softmax(1)


def spelled(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def all_strings(logs: Tensor) -> dict[tuple[int, ...], float]:
    """Every string with its probability, the sum over its paths."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(logs.shape[1]), repeat=len(logs)):
        found[spelled(path)] += math.exp(sum(float(logs[t, s]) for t, s in enumerate(path)))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_probabilities_and_searches_agree_with_the_sum_over_all_paths(seed: int) -> None:
    logs = drawn(3 + seed % 3, 3, seed)
    strings = all_strings(logs)
    likeliest = max(strings, key=lambda each: strings[each])
    assert tuple(ctc.prefix_search(logs, threshold=2.0)) == likeliest
    assert tuple(ctc.beam_search(logs, 1000)) == likeliest
    for string, probability in strings.items():
        found = math.exp(ctc.log_probability(logs, string))
        assert found == pytest.approx(probability, abs=1e-12)


def test_prefix_search_finds_what_the_best_path_misses() -> None:
    """The example of the paper: two blanks are the best path, and the label is likelier."""
    logs = torch.tensor([[0.6, 0.4], [0.6, 0.4]], dtype=torch.float64).log()
    assert ctc.best_path(logs) == []
    assert ctc.prefix_search(logs, 2.0) == ctc.prefix_search(logs) == [1]


def test_prefix_search_is_cut_where_the_blank_is_sure() -> None:
    sure = torch.tensor([[0.99999, 0.000005, 0.000005]], dtype=torch.float64).log()
    logs = torch.cat([drawn(3, 3, 1), sure, drawn(3, 3, 2)])
    parts = ctc.prefix_search(logs[:3], 2.0) + ctc.prefix_search(logs[4:], 2.0)
    assert ctc.prefix_search(logs) == parts


@pytest.mark.parametrize("seed", range(4))
def test_a_lexicon_leaves_the_likeliest_of_its_strings(seed: int) -> None:
    logs = drawn(5, 4, seed)
    strings = all_strings(logs)
    words = [(1, 2), (2,), (1, 1)]
    lexicon = ctc.Lexicon(words)
    assert tuple(ctc.beam_search(logs, 1000, lexicon)) == max(words, key=lambda w: strings[w])
    spaced = ctc.Lexicon(words, separator=3)
    whole = [w for w in strings if _made_of(w, words)]
    assert tuple(ctc.beam_search(logs, 1000, spaced)) == max(whole, key=lambda w: strings[w])


def _made_of(string: tuple[int, ...], words: list[tuple[int, ...]]) -> bool:
    parts = [
        tuple(group) for last, group in itertools.groupby(string, lambda s: s == 3) if not last
    ]
    return bool(string) and string.count(3) == len(parts) - 1 and all(p in words for p in parts)


@pytest.mark.parametrize("symbols", [[1], [1, 1], [2, 1, 2]])
def test_alignment_is_the_likeliest_path_of_the_string(symbols: list[int]) -> None:
    logs = drawn(6, 3, len(symbols))
    paths = [
        path for path in itertools.product(range(3), repeat=6) if spelled(path) == tuple(symbols)
    ]
    best = max(paths, key=lambda path: sum(float(logs[t, s]) for t, s in enumerate(path)))
    runs = [(s, len(list(g))) for s, g in itertools.groupby(best)]
    expected, start = [], 0
    for symbol, length in runs:
        if symbol:
            expected.append((start, start + length - 1))
        start += length
    assert ctc.align(logs, symbols) == expected


def test_too_few_frames_are_refused_and_counted() -> None:
    assert [ctc.frames_needed(each) for each in ([], [1, 2], [1, 1, 1])] == [0, 2, 5]
    with pytest.raises(ValueError, match="too few"):
        ctc.align(drawn(2, 3, 0), [1, 1])
    assert ctc.align(drawn(2, 3, 0), []) == []


def test_edit_distances() -> None:
    random = np.random.default_rng(0)

    def slow(a: list[int], b: list[int]) -> int:
        if not a or not b:
            return len(a) + len(b)
        kept = slow(a[1:], b[1:]) + (a[0] != b[0])
        return min(kept, slow(a[1:], b) + 1, slow(a, b[1:]) + 1)

    for _ in range(20):
        a, b = (random.integers(3, size=random.integers(6)).tolist() for _ in range(2))
        assert edit_distance(a, b) == slow(a, b)
    rate = ErrorRate()
    rate.update([[1, 2], []], [[1, 3], [4, 4]])
    assert rate.compute() == 0.75
