"""Measures of membrane maps: pixel error, and V_Rand and V_Info after thinning of the proposal.

Definitions: Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms
for connectomics, Frontiers in Neuroanatomy 9:142, 2015; details as in the challenge's own code
(Fiji's Trainable Weka Segmentation, the classes RandError and VariationOfInformation):

- the truth is not thinned: its cells are what 4-connected pixels make between the membranes, and
  all pixels of true membrane are left out (foreground restriction);
- the proposal is thinned by a watershed from its own cells: membranes become lines one pixel wide,
  those that divide nothing disappear, and how thick a membrane was drawn does not matter;
- pixels of the proposal's lines that lie within true cells are segments of one pixel each;
- pairs of pixels are drawn with replacement, n^2 of n;
- maps are cut at 0.0, 0.1, ..., 1.0. The challenge's maps hold the probability p of cell, and a
  pixel is cell where p > t, strictly: it is membrane where 1 - p >= 1 - t, as here.

The Java program itself was not run beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from skimage.measure import label as components
from skimage.metrics import variation_of_information
from skimage.segmentation import watershed
from torch import Tensor
from torchmetrics import Metric

THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(11))


def pixel_error(membrane: np.ndarray, truth: np.ndarray, threshold: float = 0.5) -> float:
    """Share of pixels whose membrane probability lies on the wrong side of the threshold.

    Args:
        membrane: Probability of membrane, any shape.
        truth: True where there is membrane, of that shape.
        threshold: From here on a pixel counts as membrane.
    """
    return float(np.mean((np.asarray(membrane) >= threshold) != np.asarray(truth, dtype=bool)))


def cells(membrane: np.ndarray) -> np.ndarray:
    """Cells of one slice, numbered: what 4-connected pixels make between the membranes.

    Args:
        membrane: bool (H, W), True where there is membrane.

    Returns:
        int (H, W); 0 on the membranes.
    """
    numbered: np.ndarray = components(~np.asarray(membrane, dtype=bool), connectivity=1)
    return numbered


def thinned(membrane: np.ndarray) -> np.ndarray:
    """Cells of one slice that grew into the membranes until they met.

    Args:
        membrane: bool (H, W), True where there is membrane.

    Returns:
        int (H, W); 0 on the lines between two cells, and everywhere where there is no cell.
    """
    seeds = cells(membrane)
    if not seeds.any():
        return seeds
    # All membrane is one plateau, which the cells flood at the same pace.
    grown: np.ndarray = watershed(
        np.asarray(membrane, dtype=np.uint8), seeds, connectivity=1, watershed_line=True
    )
    return grown


def v_rand(truth: np.ndarray, proposal: np.ndarray) -> float:
    """V_Rand with alpha = 0.5: the F-score of Rand precision and recall.

    With p_ij the share of the pixels within true segments that lie in segment i of the proposal
    and j of the truth, s_i and t_j its sums: sum p_ij^2 / (0.5 sum s_i^2 + 0.5 sum t_j^2).

    Args:
        truth: Numbered segments, 0 for border.
        proposal: Likewise, of that shape.

    Returns:
        0 to 1; NaN if the truth has no segments.
    """
    true, proposed = _foreground(truth, proposal)
    if not true.size:
        return float("nan")
    both = true.astype(np.int64) * (int(proposed.max()) + 1) + proposed
    return _pairs(both) / (0.5 * _pairs(proposed) + 0.5 * _pairs(true))


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
            wanted = cells(true)
            self.slices += 1
            for place, threshold in enumerate(self.thresholds):
                proposed = thinned(probability >= threshold)
                self.rand[place] += v_rand(wanted, proposed)
                self.info[place] += v_info(wanted, proposed)

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


def _pairs(labels: np.ndarray) -> float:
    """Pairs of pixels, a pixel with itself among them, whose labels are the same."""
    return float((np.unique(labels, return_counts=True)[1].astype(np.float64) ** 2).sum())


def _entropy(labels: np.ndarray) -> float:
    """In bits, as scikit-image's."""
    probs = np.unique(labels, return_counts=True)[1] / labels.size
    return float(-(probs * np.log2(probs)).sum())
