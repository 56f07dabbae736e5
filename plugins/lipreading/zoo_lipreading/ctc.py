"""From CTC's frame-wise probabilities to the symbols of a sentence.

Source: Graves, Fernandez, Gomez, Schmidhuber: Connectionist Temporal Classification, ICML 2006;
the beam search sums over all paths of a beginning, as in Graves, Jaitly, ICML 2014.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby

import numpy as np
from torch import Tensor

from zoo_lipreading.grammar import END, Grammar

BLANK = 0


def greedy(log_probabilities: Tensor) -> list[int]:
    """The likeliest symbol of every frame, repetitions merged and blanks left out.

    Args:
        log_probabilities: (T, symbols) of one clip.
    """
    path = log_probabilities.argmax(dim=1).tolist()
    return [symbol for symbol, _ in groupby(path) if symbol != BLANK]


def beam_search(
    log_probabilities: Tensor, size: int = 16, grammar: Grammar | None = None
) -> list[int]:
    """The sequence of symbols that is likeliest over all its paths.

    Args:
        log_probabilities: (T, symbols) of one clip.
        size: Beginnings kept at each frame.
        grammar: Which sentences there are; any without.

    Returns:
        The symbols. With a grammar a whole sentence, but if every one fell out of the beam the
        likeliest beginning of one.
    """
    steps = log_probabilities.detach().double().cpu().numpy()
    # For each beginning the log-probability of its paths that end in a blank, and in a symbol.
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
    every = range(1, steps.shape[1])
    for step in steps:
        blank: dict[tuple[int, ...], list[float]] = defaultdict(list)
        symbol: dict[tuple[int, ...], list[float]] = defaultdict(list)
        for begun, (ends_blank, ends_symbol) in beam.items():
            total = np.logaddexp(ends_blank, ends_symbol)
            blank[begun].append(total + step[BLANK])
            if begun:
                symbol[begun].append(ends_symbol + step[begun[-1]])
            for number in every if grammar is None else grammar.after(begun):
                if number == END:
                    continue
                # A symbol said twice needs a blank between.
                before = ends_blank if begun and number == begun[-1] else total
                symbol[*begun, number].append(before + step[number])
        merged = {
            begun: (_sum(blank.get(begun, [])), _sum(symbol.get(begun, [])))
            for begun in {**blank, **symbol}
        }
        beam = dict(sorted(merged.items(), key=_score, reverse=True)[:size])
    whole = beam
    if grammar is not None:
        whole = {begun: ends for begun, ends in beam.items() if END in grammar.after(begun)} or beam
    return list(max(whole.items(), key=_score)[0])


def _sum(logarithms: list[float]) -> float:
    return float(np.logaddexp.reduce(logarithms)) if logarithms else -np.inf


def _score(item: tuple[tuple[int, ...], tuple[float, float]]) -> float:
    return float(np.logaddexp(*item[1]))
