"""Measures of membrane maps: pixel error, and V_Rand and V_Info after border thinning.

Definitions: Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms
for connectomics, Frontiers in Neuroanatomy 9:142, 2015; details as in the challenge's own code
(the class RandError of Fiji's Trainable Weka Segmentation): borders are thinned before cells are
counted, so that their thickness does not matter; the true border's pixels are left out
(foreground restriction); the proposed border's pixels are segments of one pixel each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.measure import label as components
from skimage.metrics import adapted_rand_error, variation_of_information
from skimage.morphology import skeletonize

RIM = 32
"""Pixels by which a slice is continued before thinning; membranes are thinner than twice that."""
THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))


@dataclass(frozen=True)
class EMScore:
    """Measures of a membrane map, each at the threshold that suits it best.

    Attributes:
        v_rand: V_Rand after border thinning, 0 to 1; 1 is a perfect segmentation.
        v_info: V_Info after border thinning, likewise.
        pixel_error: Share of pixels on the wrong side of the threshold 0.5.
        best_pixel_error: The smallest over the thresholds.
        rand_threshold: Where v_rand was reached.
        info_threshold: Where v_info was reached.
    """

    v_rand: float
    v_info: float
    pixel_error: float
    best_pixel_error: float
    rand_threshold: float
    info_threshold: float


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
    return components(~membrane, connectivity=1)


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


def score(
    membrane: np.ndarray, truth: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> EMScore:
    """Measure a membrane map slice by slice; V_Rand and V_Info are means over the slices.

    Args:
        membrane: Probability of membrane, (D, H, W).
        truth: True where there is membrane, (D, H, W).
        thresholds: Where the map is cut; each measure takes the best for the whole map.
    """
    true = [segments(slice_) for slice_ in np.asarray(truth, dtype=bool)]
    rand, info = {}, {}
    for threshold in thresholds:
        proposed = [segments(slice_ >= threshold) for slice_ in membrane]
        pairs = list(zip(true, proposed, strict=True))
        rand[threshold] = float(np.mean([v_rand(*pair) for pair in pairs]))
        info[threshold] = float(np.mean([v_info(*pair) for pair in pairs]))
    at_rand = max(rand, key=rand.__getitem__)
    at_info = max(info, key=info.__getitem__)
    return EMScore(
        v_rand=rand[at_rand],
        v_info=info[at_info],
        pixel_error=pixel_error(membrane, truth),
        best_pixel_error=min(pixel_error(membrane, truth, threshold) for threshold in thresholds),
        rand_threshold=at_rand,
        info_threshold=at_info,
    )


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
    share = np.unique(labels, return_counts=True)[1] / labels.size
    return float(-(share * np.log2(share)).sum())
