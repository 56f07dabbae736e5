"""Connectionist temporal classification: from probabilities of symbols at each frame to strings.

Symbol 0 is the blank. A path has a symbol for each frame; what it spells is the path without
repetitions and then without blanks, and the probability of a string is the sum over its paths.

Source: Graves, Fernandez, Gomez, Schmidhuber: Connectionist Temporal Classification: Labelling
Unsegmented Sequence Data with Recurrent Neural Networks, ICML 2006.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BLANK = 0
_END = -1
_MOST_EXTENDED = 500
"""Prefixes that a search extends before what it has found counts: of a net that is trained a few
are enough, of one that is not there is no end."""
Symbols = tuple[int, ...]


def frames_needed(symbols: Sequence[int]) -> int:
    """The fewest frames that can spell a string: one a symbol, and a blank between equal ones."""
    return len(symbols) + sum(a == b for a, b in pairwise(symbols))


def best_path(log_probs: Tensor) -> list[int]:
    """What the path of the likeliest symbols spells (section 3.2).

    Args:
        log_probs: (T, symbols) of one sequence.
    """
    return [each for each, _ in groupby(log_probs.argmax(1).tolist()) if each != BLANK]


def log_probability(log_probs: Tensor, symbols: Sequence[int]) -> float:
    """Of a string over all its paths, by the forward variables (section 4.1).

    Args:
        log_probs: (T, symbols) of one sequence.
        symbols: Without blanks.
    """
    if len(log_probs) == 0:
        return 0.0 if not symbols else -np.inf
    loss = F.ctc_loss(
        log_probs.detach().double().cpu()[:, None],
        torch.tensor([list(symbols)], dtype=torch.long).reshape(1, -1),
        torch.tensor([len(log_probs)]),
        torch.tensor([len(symbols)]),
        blank=BLANK,
        reduction="sum",
    )
    return -float(loss)


def prefix_search(log_probs: Tensor, threshold: float = 0.9999) -> list[int]:
    """The likeliest string, by best-first search over prefixes (section 3.2).

    The sequence is cut into sections where the blank is likelier than the threshold, each searched
    by itself: exact within a section, and over the whole where nothing is cut, but for nets so
    unsure that 500 prefixes do not decide a section.

    Args:
        log_probs: (T, symbols) of one sequence.
        threshold: Probability of a blank at which to cut; above 1 never.
    """
    logs = log_probs.detach().double().cpu().numpy()
    cuts: list[int] = []
    if threshold <= 1:
        cuts = np.flatnonzero(logs[:, BLANK] > np.log(threshold)).tolist()
    found: list[int] = []
    start = 0
    for end in [*cuts, len(logs)]:
        if end > start:
            found += _search_section(np.exp(logs[start:end]))
        start = end + 1
    return found


def _search_section(probs: np.ndarray) -> list[int]:
    """Best first: the prefix whose extensions are together likeliest is extended next, until no
    prefix's extensions can be likelier than the best whole string."""
    blank = np.cumprod(probs[:, BLANK])
    best: tuple[float, Symbols] = (float(blank[-1]), ())
    heap: list[tuple[float, Symbols, np.ndarray, np.ndarray]] = [
        (-1.0, (), np.zeros(len(probs)), blank)
    ]
    extended = 0
    while heap and -heap[0][0] > best[0] and extended < _MOST_EXTENDED:
        _, prefix, symbol, blank = heapq.heappop(heap)
        extended += 1
        own, empty, beginning = _extend(probs, prefix, symbol, blank)
        whole = own[-1] + empty[-1]
        for index in range(len(whole)):
            longer = (*prefix, index + 1)
            if whole[index] > best[0]:
                best = (float(whole[index]), longer)
            if (rest := float(beginning[index] - whole[index])) > best[0]:
                heapq.heappush(heap, (-rest, longer, own[:, index], empty[:, index]))
    return list(best[1])


def _extend(
    probs: np.ndarray, prefix: Symbols, symbol: np.ndarray, blank: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forward variables (T, labels) of a prefix with each label behind it, ending in the label and
    in a blank; and the probabilities (labels,) of all strings that begin so."""
    labels = probs[:, 1:]
    own, empty = np.zeros_like(labels), np.zeros_like(labels)
    if not prefix:
        own[0] = labels[0]
    beginning = own[0].copy()
    for frame in range(1, len(probs)):
        new = np.full(labels.shape[1], blank[frame - 1] + symbol[frame - 1])
        if prefix:  # a label said twice needs a blank between
            new[prefix[-1] - 1] = blank[frame - 1]
        own[frame] = labels[frame] * (new + own[frame - 1])
        empty[frame] = probs[frame, BLANK] * (empty[frame - 1] + own[frame - 1])
        beginning += labels[frame] * new
    return own, empty, beginning


class Continuations(Protocol):
    """Which symbols may follow a beginning."""

    def after(self, begun: Symbols) -> Iterable[int]:
        """Symbols, and -1 where the string may end."""
        ...


class Lexicon:
    """Strings made of words of a list, with the separator between where there is one.

    Args:
        words: As symbols.
        separator: The symbol between two words; None: a string is one word.
    """

    def __init__(self, words: Iterable[Sequence[int]], separator: int | None = None) -> None:
        self._separator = separator
        self._next: dict[Symbols, set[int]] = defaultdict(set)
        for word in words:
            for place, symbol in enumerate(word):
                self._next[tuple(word[:place])].add(symbol)
            self._next[tuple(word)].add(_END)
            if separator is not None:
                self._next[tuple(word)].add(separator)

    def after(self, begun: Symbols) -> Iterable[int]:
        """Symbols that may follow, and -1 where the string may end."""
        if self._separator in begun:
            begun = begun[len(begun) - begun[::-1].index(self._separator) :]
        return self._next.get(begun, ())


def beam_search(
    log_probs: Tensor, size: int = 16, lexicon: Continuations | None = None
) -> list[int]:
    """The likeliest string over all paths among the beginnings kept.

    Source: Graves, Jaitly: Towards End-To-End Speech Recognition with Recurrent Neural Networks,
    ICML 2014, algorithm 1.

    Args:
        log_probs: (T, symbols) of one sequence.
        size: Beginnings kept at each frame.
        lexicon: Which strings there are; any without.

    Returns:
        The symbols. With a lexicon a whole string of it, but if every one fell out of the beam
        the likeliest beginning of one.
    """
    logs = log_probs.detach().double().cpu().numpy()
    beam: dict[Symbols, tuple[float, float]] = {(): (0.0, -np.inf)}
    every = range(1, logs.shape[1])
    for step in logs:
        grown: dict[Symbols, list[float]] = defaultdict(lambda: [-np.inf, -np.inf])
        for begun, (blank, symbol) in beam.items():
            total = np.logaddexp(blank, symbol)
            same = grown[begun]
            same[0] = np.logaddexp(same[0], total + step[BLANK])
            if begun:
                same[1] = np.logaddexp(same[1], symbol + step[begun[-1]])
            for label in every if lexicon is None else lexicon.after(begun):
                if label == _END:
                    continue
                before = blank if begun and label == begun[-1] else total
                longer = grown[*begun, label]
                longer[1] = np.logaddexp(longer[1], before + step[label])
        ranked = sorted(grown.items(), key=lambda each: -np.logaddexp(each[1][0], each[1][1]))[
            :size
        ]
        beam = {begun: (ends[0], ends[1]) for begun, ends in ranked}
    whole = beam
    if lexicon is not None:
        whole = {key: ends for key, ends in beam.items() if _END in lexicon.after(key)} or beam
    return list(max(whole.items(), key=lambda each: np.logaddexp(*each[1]))[0])


def align(log_probs: Tensor, symbols: Sequence[int]) -> list[tuple[int, int]]:
    """First and last frame of each symbol on the likeliest path that spells them: forced alignment.

    Args:
        log_probs: (T, symbols) of one sequence.
        symbols: Without blanks.

    Returns:
        A pair of frames for each symbol, the last inclusive.

    Raises:
        ValueError: there are too few frames for the symbols.
    """
    if not symbols:
        return []
    logs = log_probs.detach().double().cpu().numpy()
    if len(logs) < frames_needed(symbols):
        raise ValueError(f"{len(logs)} frames are too few for {len(symbols)} symbols")
    states = np.zeros(2 * len(symbols) + 1, dtype=np.int64)
    states[1::2] = symbols
    skips = np.zeros(len(states), dtype=bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    score = np.full(len(states), -np.inf)
    score[:2] = logs[0, states[:2]]
    steps = np.zeros((len(logs), len(states)), dtype=np.int64)
    for frame in range(1, len(logs)):
        choices = np.full((3, len(states)), -np.inf)
        choices[0], choices[1, 1:], choices[2, 2:] = score, score[:-1], score[:-2]
        choices[2, ~skips] = -np.inf
        steps[frame] = choices.argmax(0)
        score = choices.max(0) + logs[frame, states]
    state = len(states) - 1 - int(score[-2] > score[-1])
    return _spans(steps, state, len(symbols))


def _spans(steps: np.ndarray, state: int, count: int) -> list[tuple[int, int]]:
    """Frames of the symbols on the path that ends in a state."""
    found = [[len(steps), -1] for _ in range(count)]
    for frame in range(len(steps) - 1, -1, -1):
        if state % 2:
            span = found[state // 2]
            span[0], span[1] = min(span[0], frame), max(span[1], frame)
        state -= int(steps[frame, state])
    return [(first, last) for first, last in found]
