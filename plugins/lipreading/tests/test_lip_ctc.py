"""CTC's decoding against the sum over all paths, and the grammar."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from zoo.plugin import UsageError
from zoo_lipreading.ctc import beam_search, greedy
from zoo_lipreading.grammar import END, Grammar

SYMBOLS = ["<blank>", " ", "a", "b", "c"]
PLACES = [["ab", "a"], ["c", "ca"]]


def sentences(log_probabilities: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Probability of every sequence of symbols, path by path."""
    steps = log_probabilities.exp().tolist()
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(len(steps[0])), repeat=len(steps)):
        symbols = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        share = math.prod(step[symbol] for step, symbol in zip(steps, path, strict=True))
        found[symbols] = found.get(symbols, 0.0) + share
    return found


def draw(seed: int, frames: int, symbols: int, sharpness: float = 1.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(frames, symbols, generator=generator, dtype=torch.float64)
    return logits.log_softmax(dim=1)


def test_greedy_merges_and_drops() -> None:
    path = [0, 1, 1, 0, 1, 2, 2, 0]
    shares = torch.nn.functional.one_hot(torch.tensor(path), 3).double().clamp_min(1e-9).log()
    assert greedy(shares) == [1, 1, 2]
    assert greedy(shares[:1]) == []


@pytest.mark.parametrize("seed", range(8))
def test_a_wide_beam_finds_the_likeliest_sequence(seed: int) -> None:
    shares = draw(seed, 6, 4)
    every = sentences(shares)
    assert tuple(beam_search(shares, size=1000)) == max(every, key=lambda each: every[each])


@pytest.mark.parametrize("seed", range(8))
def test_with_a_grammar_it_is_the_likeliest_sentence_of_the_grammar(seed: int) -> None:
    shares = draw(seed, 7, 5)
    grammar = Grammar(PLACES, SYMBOLS)
    whole = [
        tuple(SYMBOLS.index(letter) for letter in f"{one} {two}")
        for one in PLACES[0]
        for two in PLACES[1]
    ]
    every = sentences(shares)
    best = max(whole, key=lambda each: every.get(each, 0.0))
    assert tuple(beam_search(shares, 1000, grammar)) == best


def test_the_grammar_of_characters() -> None:
    grammar = Grammar(PLACES, SYMBOLS)
    space, a, b, c = 1, 2, 3, 4
    assert grammar.after(()) == {a}
    assert grammar.after((a,)) == {space, b}
    assert grammar.after((a, space)) == {c}
    assert grammar.after((a, b, space, c)) == {a, END}
    assert grammar.after((a, b, space, c, a)) == {END}
    for wrong in ((b,), (a, space, c, space), (a, b, b), (space,)):
        assert grammar.after(wrong) == frozenset()


def test_the_grammar_of_words() -> None:
    grammar = Grammar([["bin", "set"], ["red"]], ["<blank>", "bin", "red", "set"])
    assert grammar.after(()) == {1, 3}
    assert grammar.after((3,)) == {2}
    assert grammar.after((3, 2)) == {END}
    assert grammar.after((3, 2, 2)) == frozenset()
    assert grammar.after((2, 2)) == frozenset()
    assert beam_search(draw(0, 5, 4), 50, grammar) in ([1, 2], [3, 2])


def test_a_word_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(UsageError, match="'d'"):
        Grammar([["ad"]], SYMBOLS)
    with pytest.raises(UsageError, match="no words"):
        Grammar([["a"], []], SYMBOLS)
