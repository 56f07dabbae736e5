"""Measures of membrane maps, on examples small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zoo_segmentation.em_metrics import (
    MembraneScores,
    cells,
    pixel_error,
    thinned,
    v_info,
    v_rand,
)

# Two cells of four pixels.
TRUTH = np.array([1, 1, 1, 1, 2, 2, 2, 2])


def test_pixel_error_counts_the_wrong_side_of_the_threshold():
    truth = np.array([True, True, False, False, False])
    membrane = np.array([0.9, 0.2, 0.6, 0.1, 0.5])
    assert pixel_error(membrane, truth) == pytest.approx(3 / 5)
    assert pixel_error(membrane, truth, 0.55) == pytest.approx(2 / 5)


def test_a_perfect_segmentation_scores_one():
    assert v_rand(TRUTH, TRUTH) == 1
    assert v_info(TRUTH, TRUTH) == pytest.approx(1)
    renamed = np.array([7, 7, 7, 7, 3, 3, 3, 3])
    assert v_rand(TRUTH, renamed) == 1
    assert v_info(TRUTH, renamed) == pytest.approx(1)


def test_a_merger_by_hand():
    merged = np.ones(8, dtype=int)
    # Pairs: true 2 * 4^2, proposed 8^2, in both 2 * 4^2.
    assert v_rand(TRUTH, merged) == pytest.approx(32 / (0.5 * 32 + 0.5 * 64))
    # The merged segmentation tells nothing: I = 0.
    assert v_info(TRUTH, merged) == pytest.approx(0)


def test_a_split_by_hand():
    split = np.array([1, 1, 2, 2, 3, 3, 3, 3])
    # Pairs: proposed 4 + 4 + 16 = 24, all of them true; true 32.
    assert v_rand(TRUTH, split) == pytest.approx(24 / (0.5 * 24 + 0.5 * 32))
    # H(T) = 1 bit, H(S) = 1.5 bits, I = H(T) as S determines T.
    assert v_info(TRUTH, split) == pytest.approx(1 / (0.5 * 1.5 + 0.5 * 1))


def test_the_true_border_is_left_out_and_the_proposed_one_is_single_pixels():
    truth = np.array([1, 1, 1, 0, 0, 2, 2, 2])
    proposal = np.array([1, 1, 0, 1, 0, 2, 2, 2])
    # Within the truth: 1 1 . | 2 2 2. Pairs: proposed 4 + 1 + 9, true 9 + 9, in both 4 + 1 + 9.
    assert v_rand(truth, proposal) == pytest.approx(14 / (0.5 * 14 + 0.5 * 18))
    # Shares of S: 1/3, 1/6, 1/2; of T: 1/2, 1/2; S determines T.
    h_s = -(1 / 3 * math.log2(1 / 3) + 1 / 6 * math.log2(1 / 6) + 0.5 * math.log2(0.5))
    assert v_info(truth, proposal) == pytest.approx(1 / (0.5 * h_s + 0.5))


def test_one_segment_in_both_is_perfect_and_no_segment_is_no_figure():
    one = np.ones(6, dtype=int)
    assert v_info(one, one) == 1
    assert v_rand(one, one) == 1
    assert math.isnan(v_rand(one * 0, one))
    assert math.isnan(v_info(one * 0, one))


def test_cells_are_what_touches_by_edges():
    membrane = np.zeros((9, 9), dtype=bool)
    membrane[:, 3:6] = True
    assert cells(membrane).max() == 2
    assert (cells(membrane) == 0).sum() == 27
    diagonal = np.eye(5, dtype=bool)
    assert cells(diagonal).max() == 2


def test_the_proposal_is_thinned_to_lines_that_divide_something():
    membrane = np.zeros((9, 9), dtype=bool)
    membrane[:, 3:6] = True
    assert thinned(membrane).max() == 2
    assert (thinned(membrane) == 0).sum() == 9  # a line from rim to rim
    assert (thinned(membrane)[:, 4] == 0).all()
    dead_end = np.zeros((9, 9), dtype=bool)
    dead_end[:6, 3:6] = True
    assert (thinned(dead_end) == 1).all()
    assert not thinned(np.ones((9, 9), dtype=bool)).any()
    assert (thinned(np.zeros((9, 9), dtype=bool)) == 1).all()


def slow_scores(truth: np.ndarray, proposal: np.ndarray) -> tuple[float, float]:
    """Both scores by the published sums, over every pair of segments."""
    inside = [(x, y) for x, y in np.ndindex(truth.shape) if truth[x, y]]
    true = [int(truth[place]) for place in inside]
    proposed = [int(proposal[p]) or -1 - n for n, p in enumerate(inside)]
    total = len(inside)
    p = {
        (i, j): sum(a == i and b == j for a, b in zip(proposed, true, strict=True)) / total
        for i in {*proposed}
        for j in {*true}
    }
    s = {i: proposed.count(i) / total for i in {*proposed}}
    t = {j: true.count(j) / total for j in {*true}}
    square = [sum(value**2 for value in shares.values()) for shares in (p, s, t)]
    rand = square[0] / (0.5 * square[1] + 0.5 * square[2])
    entropy = [-sum(v * math.log(v) for v in shares.values() if v) for shares in (p, s, t)]
    both = entropy[1] + entropy[2]
    return rand, 1.0 if both == 0 else (both - entropy[0]) / (0.5 * both)


def test_against_sums_over_all_segments():
    random = np.random.default_rng(0)
    for _ in range(30):
        truth, proposal = random.integers(0, 4, (2, 5, 6))
        rand, info = slow_scores(truth, proposal)
        assert v_rand(truth, proposal) == pytest.approx(rand, abs=1e-12)
        assert v_info(truth, proposal) == pytest.approx(info, abs=1e-12)


def wall(gap: bool = False, thickness: int = 3) -> np.ndarray:
    """Two slices of two cells with a membrane between them, which may have a gap."""
    membrane = np.zeros((2, 31, 31))
    middle = slice(15 - thickness // 2, 16 + thickness // 2)
    membrane[:, :, middle] = 1
    if gap:
        membrane[:, 12:19, middle] = 0
    return membrane


def score(membrane: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    scores = MembraneScores()
    scores.update(membrane, truth)
    return scores.compute()


def test_thickness_of_the_membrane_does_not_matter_but_a_gap_does():
    truth = wall() == 1
    perfect = score(wall(), truth)
    assert (perfect["v_rand"], perfect["v_info"], perfect["pixel_error"]) == (1, 1, 0)
    for thickness in (1, 5, 9):
        other = score(wall(thickness=thickness), truth)
        assert other["pixel_error"] == pytest.approx(abs(thickness - 3) / 31)
        assert (other["v_rand"], other["v_info"]) == (1, pytest.approx(1))
    hanging = wall()  # a membrane that ends within a cell divides nothing
    hanging[:, 8:11, 16:28] = 1
    assert score(hanging, truth)["v_rand"] == 1
    assert score(wall(gap=True), truth)["v_rand"] < 0.75
    assert score(wall(gap=True), truth)["v_info"] < 0.4


def test_each_measure_takes_the_threshold_that_suits_it_and_says_so():
    # Membrane and its gap are told apart above 0.3 alone; below, all is membrane.
    membrane = np.where(wall() == 1, np.where(wall(gap=True) == 1, 0.75, 0.45), 0.25)
    found = score(membrane, wall() == 1)
    assert found["v_rand"] == 1
    assert found["v_info"] == 1
    assert 0.25 < found["v_rand/threshold"] <= 0.45
    assert 0.25 < found["v_info/threshold"] <= 0.45
    assert found["v_rand/0.5"] < 0.75
    assert found["v_info/0.5"] < 0.4
    assert found["pixel_error"] == pytest.approx(3 * 7 / 31**2)


def test_one_threshold_is_chosen_for_all_slices_however_they_come():
    truth = wall() == 1
    faint, strong = 0.3 * wall()[:1], np.where(wall()[:1] == 1, 0.9, 0.5)
    # No threshold finds both walls: at or below 0.3 the second slice is all membrane.
    together = score(np.concatenate((faint, strong)), truth)
    scores = MembraneScores()
    scores.update(faint, truth[:1])
    scores.update(strong, truth[1:])
    assert scores.compute() == together
    assert together["v_rand"] < 0.9
    assert score(faint, truth[:1])["v_rand"] == score(strong, truth[1:])["v_rand"] == 1
