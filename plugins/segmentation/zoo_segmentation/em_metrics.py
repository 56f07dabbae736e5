"""Measures of membrane maps: pixel error, and V_Rand and V_Info after border thinning.

Definitions: Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms
for connectomics, Frontiers in Neuroanatomy 9:142, 2015; details as in the challenge's own code
(the class RandError of Fiji's Trainable Weka Segmentation): borders are thinned before cells are
counted, so that their thickness does not matter; the true border's pixels are left out
(foreground restriction); the proposed border's pixels are segments of one pixel each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from skimage.measure import label as components
from skimage.metrics import adapted_rand_error, variation_of_information
from skimage.morphology import skeletonize
from torch import Tensor
from torchmetrics import Metric

RIM = 32
"""Pixels by which a slice is continued before thinning; membranes are thinner than twice that."""
THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))


def pixel_error(membrane: np.ndarray, truth: np.ndarray, threshold: float = 0.5) -> float:
    """Share of pixels whose membrane probability lies on the wrong side of the threshold.

    Args:
        membrane: Probability of membrane, any shape.
        truth: True where there is membrane, of that shape.
        threshold: From here on a pixel counts as membrane.
    """
    return float(np.mean((np.asarray(membrane) >= threshold) != np.asarray(truth, dtype=bool)))


def segments(membrane: np.ndarray, thin: bool = True) -> np.ndarray:
    """Cells of one slice, numbered: what 4-connected pixels make, between the membranes.

    Args:
        membrane: bool (H, W), True where there is membrane.
        thin: Reduce membranes to lines one pixel wide first.

    Returns:
        int (H, W); 0 on the (thinned) membranes.
    """
    if thin:
        # A skeleton draws back from the ends of its lines, and would open the cells that the
        # slice's rim cuts: so the lines go on beyond the rim.
        wide = np.pad(membrane, RIM, mode="edge")
        membrane = skeletonize(wide)[RIM:-RIM, RIM:-RIM]
    cells: np.ndarray = components(~membrane, connectivity=1)
    return cells


def v_rand(truth: np.ndarray, proposal: np.ndarray) -> float:
    """V_Rand with alpha = 0.5: the F-score of Rand precision and recall.

    Of all pairs of pixels within the true segments, with p_ij pairs in segment i of the proposal
    and j of the truth, s_i and t_j pairs in each: sum p_ij / (0.5 sum s_i + 0.5 sum t_j). Pairs
    are of two different pixels, as scikit-image counts them.

    Args:
        truth: Numbered segments, 0 for border.
        proposal: Likewise, of that shape.

    Returns:
        0 to 1; NaN if the truth has no segments.
    """
    true, proposed = _foreground(truth, proposal)
    if not true.size:
        return float("nan")
    error, _, _ = adapted_rand_error(true, proposed, ignore_labels=())
    return 1 - float(error)


def v_info(truth: np.ndarray, proposal: np.ndarray) -> float:
    """V_Info with alpha = 0.5: I(S; T) / (0.5 H(S) + 0.5 H(T)).

    Args:
        truth: Numbered segments, 0 for border.
        proposal: Likewise, of that shape.

    Returns:
        0 to 1, and 1 where both are one segment; NaN if the truth has no segments.
    """
    true, proposed = _foreground(truth, proposal)
    if not true.size:
        return float("nan")
    # I = (H(S) + H(T) - H(S|T) - H(T|S)) / 2, and scikit-image gives the last two.
    conditional = float(sum(variation_of_information(true, proposed)))
    total = _entropy(true) + _entropy(proposed)
    return 1.0 if total == 0 else max(0.0, (total - conditional) / total)


class MembraneScores(Metric):
    """Measures of membrane maps over all slices of a test part.

    V_Rand and V_Info are means over the slices, at every threshold; as in the challenge, each
    takes the threshold that suits it best, the same one for all slices. That choice is made on
    the test part itself and flatters a little, so the metrics at 0.5 are given too. The pixel
    error knows no choice: its threshold is 0.5.

    Args:
        thresholds: Where maps are cut; 0.5 has to be one.
    """

    full_state_update = False
    rand: Tensor
    info: Tensor
    slices: Tensor
    wrong: Tensor
    pixels: Tensor

    def __init__(self, thresholds: Sequence[float] = THRESHOLDS) -> None:
        super().__init__()
        self.thresholds = tuple(thresholds)
        zeros = torch.zeros(len(self.thresholds))
        for name in ("rand", "info"):
            self.add_state(name, zeros.clone(), dist_reduce_fx="sum")
        for name in ("slices", "wrong", "pixels"):
            self.add_state(name, torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, membrane: np.ndarray, truth: np.ndarray) -> None:
        """Add slices.

        Args:
            membrane: Probability of membrane, (D, H, W).
            truth: True where there is membrane, (D, H, W).
        """
        truth = np.asarray(truth, dtype=bool)
        self.wrong += round(pixel_error(membrane, truth) * truth.size)
        self.pixels += truth.size
        for probability, true in zip(membrane, truth, strict=True):
            cells = segments(true)
            self.slices += 1
            for place, threshold in enumerate(self.thresholds):
                proposed = segments(probability >= threshold)
                self.rand[place] += v_rand(cells, proposed)
                self.info[place] += v_info(cells, proposed)

    def compute(self) -> dict[str, float]:
        """``pixel_error``; ``v_rand`` and ``v_info`` at their best thresholds, which are
        ``v_rand/threshold`` and ``v_info/threshold``; ``v_rand/0.5`` and ``v_info/0.5``."""
        result = {"pixel_error": float(self.wrong / self.pixels.clamp(min=1))}
        for name, sums in (("v_rand", self.rand), ("v_info", self.info)):
            means = (sums / self.slices.clamp(min=1)).tolist()
            best = max(range(len(means)), key=means.__getitem__)
            result[name] = means[best]
            result[f"{name}/threshold"] = self.thresholds[best]
            result[f"{name}/0.5"] = means[self.thresholds.index(0.5)]
        return result


def _foreground(truth: np.ndarray, proposal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels within the true segments; of the proposal's border each with a number of its
    own."""
    inside = truth > 0
    true, proposed = truth[inside], proposal[inside].copy()
    border = proposed == 0
    proposed[border] = int(proposal.max()) + 1 + np.arange(border.sum())
    return true, proposed


def _entropy(labels: np.ndarray) -> float:
    """In bits, as scikit-image's."""
    probs = np.unique(labels, return_counts=True)[1] / labels.size
    return float(-(probs * np.log2(probs)).sum())
