"""ClipUp: steps of a fixed length, with momentum and a limited speed.

Toklu, Liskowski, Srivastava: ClipUp: a simple and powerful optimizer for distribution-based policy
evolution, PPSN 2020, algorithm 1.
"""

from __future__ import annotations

from torch import Tensor


def clip_up(velocity: Tensor, gradient: Tensor, lr: float, momentum: float, top: float) -> Tensor:
    """The new velocity (d,), which is added to the center.

    Args:
        velocity: The last one (d,).
        gradient: Of which the direction counts alone (d,); 0 is no direction.
        lr: Length of the step along it.
        momentum: Share of the last velocity that stays.
        top: The highest speed.
    """
    norm = float(gradient.norm())
    step = gradient * (lr / norm) if norm > 0 else gradient
    new = momentum * velocity + step
    speed = float(new.norm())
    return new * (top / speed) if speed > top else new
