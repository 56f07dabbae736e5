"""The preprocessing of a MONAI bundle in the zoo's terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zoo.plugin import UsageError
from zoo_segmentation.monai_config import Config
from zoo_segmentation.monai_nets import AXCODES, AXES

T = TypeVar("T")
EVERY = 3.4e38
"""A bound that no float32 is beyond."""
ALONE = (
    "LoadImage",
    "EnsureChannelFirst",
    "AddChannel",
    "AsChannelFirst",
    "EnsureType",
    "ToTensor",
    "CastToType",
    "ToDevice",
    "SelectItems",
    "Identity",
)
"""What reading a file does here anyway."""
AROUND = ("CropForeground", "SpatialPad", "DivisiblePad", "BorderPad")
"""What changes how much of a volume the net sees, and little of what it says."""


@dataclass
class Preparation:
    """What happens to a volume before the net.

    Attributes:
        axcodes: The sides that its axes go to.
        spacing: Voxel edges along them, mm; None: those of the file.
        normalize_by: As of `zoo_segmentation.data.preprocessing.normalize`; None: not at all.
        fixed: low, high, mean and standard deviation of all channels; None: the volume's own.
        notes: What is done otherwise here.
    """

    axcodes: str = "RAS"
    oriented: bool = False
    spacing: list[float] | None = None
    normalize_by: str | None = None
    fixed: list[float] | None = None
    channels: int = 1
    notes: list[str] = field(default_factory=list)

    @property
    def learned(self) -> dict[str, Any]:
        """As the zoo's models keep it."""
        # Neither clipped nor moved, where nothing is normalized.
        fixed = self.fixed
        if fixed is None and self.normalize_by is None:
            fixed = [-EVERY, EVERY, 0.0, 1.0]
        return {
            "normalize_by": self.normalize_by or "volume",
            "intensities": None if fixed is None else [fixed] * self.channels,
        }

    def to_zoo(self, lengths: Sequence[T]) -> list[T]:
        """Lengths along the net's axes, along the zoo's."""
        by_axis = {AXES[code]: n for code, n in zip(self.axcodes, lengths, strict=True)}
        return [by_axis[axis] for axis in range(len(AXCODES))]


def preparation(config: Config, path: str) -> Preparation:
    """What the bundle's preprocessing does.

    Raises:
        UsageError: it does something to gray values, or to axes, that is not known here.
    """
    ready = Preparation()
    channels = next(
        (
            config.first([key], "in_channels")
            for key in ("network_def", "network", "net")
            if config.first([key], "in_channels")
        ),
        1,
    )
    ready.channels = channels if isinstance(channels, int) else 1
    for transform in config.transforms("preprocessing"):
        target = transform.get("_target_")
        name = str(target).rpartition(".")[2].removesuffix("d").removesuffix("Dict")
        if name in ALONE:
            continue
        if name in AROUND:
            ready.notes.append(f"{name} of its preprocessing is not done: the whole volume is used")
            continue
        take = _TAKEN.get(name)
        values = {key: value for key, value in transform.items() if key in _READ.get(name, ())}
        if take is None or config.holds_code(values):
            raise UsageError(
                f"{path}: {target} of its preprocessing is "
                + ("not known here" if take is None else "given by an expression, which is code")
                + ", and without it the net would be fed something else"
            )
        take(ready, values, path)
    if not ready.oriented:
        ready.notes.append("its preprocessing does not orient volumes; they are taken as RAS")
    return ready


def _orientation(ready: Preparation, values: Mapping[str, Any], path: str) -> None:
    codes = str(values.get("axcodes", "RAS"))
    if sorted(AXES.get(code, -1) for code in codes) != [0, 1, 2]:
        raise UsageError(f"{path}: the orientation {codes!r} of its preprocessing is not known")
    if ready.spacing is not None and codes != "RAS":
        raise UsageError(f"{path}: its preprocessing resamples before it orients to {codes}")
    ready.axcodes, ready.oriented = codes, True


def _spacing(ready: Preparation, values: Mapping[str, Any], path: str) -> None:
    pixdim = values.get("pixdim")
    if isinstance(pixdim, int | float):
        pixdim = [pixdim] * 3
    numbers = isinstance(pixdim, list) and all(isinstance(each, int | float) for each in pixdim)
    if not numbers or not pixdim or len(pixdim) != 3 or min(pixdim) <= 0:
        raise UsageError(f"{path}: the spacing {pixdim} of its preprocessing is not known")
    ready.spacing = [float(each) for each in pixdim]


def _range(ready: Preparation, values: Mapping[str, Any], path: str) -> None:
    low, high = float(values["a_min"]), float(values["a_max"])
    floor, ceiling = values.get("b_min"), values.get("b_max")
    floor, ceiling = float(floor or 0), float(1 if ceiling is None else ceiling)
    std = (high - low) / (ceiling - floor)
    bounds = [low, high] if values.get("clip") else [-EVERY, EVERY]
    ready.fixed = [*bounds, low - floor * std, std]


def _normal(ready: Preparation, values: Mapping[str, Any], path: str) -> None:
    if ready.fixed is not None:
        raise UsageError(f"{path}: its preprocessing normalizes twice, which is not known here")
    mean, std = values.get("subtrahend"), values.get("divisor")
    if mean is not None or std is not None:
        if not isinstance(mean, int | float) or not isinstance(std, int | float):
            raise UsageError(f"{path}: its subtrahend and divisor are not one number each")
        ready.fixed = [-EVERY, EVERY, float(mean), float(std)]
        return
    if not values.get("channel_wise") and ready.channels > 1:
        raise UsageError(f"{path}: its preprocessing normalizes all channels by one mean")
    ready.normalize_by = "nonzero" if values.get("nonzero") else "volume"


_TAKEN: dict[str, Callable[[Preparation, Mapping[str, Any], str], None]] = {
    "Orientation": _orientation,
    "Spacing": _spacing,
    "ScaleIntensityRange": _range,
    "NormalizeIntensity": _normal,
}
_READ = {
    "Orientation": ("axcodes",),
    "Spacing": ("pixdim",),
    "ScaleIntensityRange": ("a_min", "a_max", "b_min", "b_max", "clip"),
    "NormalizeIntensity": ("subtrahend", "divisor", "nonzero", "channel_wise"),
}
