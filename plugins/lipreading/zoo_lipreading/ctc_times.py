"""When each symbol of a sentence is said, by CTC's own alignment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLANK = 0


def align(log_probabilities: np.ndarray, symbols: Sequence[int]) -> list[tuple[int, int]]:
    """First and last frame of each symbol on the likeliest path that spells them all.

    Source: Graves, Fernandez, Gomez, Schmidhuber: Connectionist Temporal Classification, ICML
    2006, section 4.1, with the maximum in the place of the sum.

    Args:
        log_probabilities: (T, symbols there are) of one clip.
        symbols: What is said, without blanks.

    Returns:
        As many pairs of frames, the last inclusive.

    Raises:
        ValueError: there are too few frames for the symbols.
    """
    if not symbols:
        return []
    states = [BLANK]
    for symbol in symbols:
        states += [symbol, BLANK]
    frames, count = len(log_probabilities), len(states)
    score = np.full((frames, count), -np.inf)
    step = np.zeros((frames, count), dtype=np.int64)
    score[0, :2] = log_probabilities[0, states[:2]]
    for frame in range(1, frames):
        for state in range(count):
            froms = [state, state - 1]
            if states[state] != BLANK and state >= 2 and states[state] != states[state - 2]:
                froms.append(state - 2)
            best = max((each for each in froms if each >= 0), key=lambda s: score[frame - 1, s])
            score[frame, state] = score[frame - 1, best] + log_probabilities[frame, states[state]]
            step[frame, state] = state - best
    last = count - 1 if score[-1, -1] >= score[-1, -2] else count - 2
    if not np.isfinite(score[-1, last]):
        raise ValueError(f"{frames} frames are too few for {len(symbols)} symbols")
    found = [[frames, -1] for _ in symbols]
    state = last
    for frame in range(frames - 1, -1, -1):
        if states[state] != BLANK:
            place = found[state // 2]
            place[0] = min(place[0], frame)
            place[1] = max(place[1], frame)
        state -= int(step[frame, state])
    return [(first, last) for first, last in found]
