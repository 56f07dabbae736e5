"""MONAI's segmentation nets, by their class names."""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from monai.networks import nets
from torch import Tensor, nn

from zoo.plugin import UsageError, nearest
from zoo_segmentation.segmenter import Segmenter

# What MONAI asks for without a default of its own, at a size that trains on modest hardware.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "UNet": {"channels": [16, 32, 64, 128], "strides": [2, 2, 2], "num_res_units": 2},
    "AttentionUnet": {"channels": [16, 32, 64, 128], "strides": [2, 2, 2]},
    "SegResNet": {"init_filters": 16},
    "DynUNet": {
        "kernel_size": [3, 3, 3, 3],
        "strides": [1, 2, 2, 2],
        "upsample_kernel_size": [2, 2, 2],
        "filters": [16, 32, 64, 128],
    },
    "FlexibleUNet": {"backbone": "efficientnet-b0"},
}
_FILTERS, _MOST_FILTERS = 32, 320
"""nnU-Net's channels: doubled at each level, up to these."""
_SHALLOW_FIRST = ("BasicUNetPlusPlus",)
"""Nets whose outputs are of one size, the deepest, which is the result, last."""
AXCODES = "SAR"
AXES = {"S": 0, "I": 0, "A": 1, "P": 1, "R": 2, "L": 2}
_TAKES = ("in_channels", "out_channels", "spatial_dims")


class MonaiNet(nn.Module):
    """A net of MONAI as a module from volumes to one map of logits.

    Args:
        net: The net; it may have several outputs while it trains (deep supervision).
        axcodes: The sides that its axes go to, as three letters of nibabel's: R or L, A or P, S
            or I. The zoo's volumes go to S, A and R; for a net that has learned from volumes in
            another order they are turned, and its outputs turned back.
    """

    def __init__(self, net: nn.Module, axcodes: str = AXCODES) -> None:
        super().__init__()
        self.net = net
        self._order = [AXES[letter] + 2 for letter in axcodes]
        self._flipped = [axis for axis, code in enumerate(axcodes, 2) if code not in AXCODES]
        self._moved = axcodes != AXCODES
        self._backwards = type(net).__name__ in _SHALLOW_FIRST

    def forward(self, x: Tensor) -> Tensor:
        """From (N, in_channels, ...) to logits (N, out_channels, ...)."""
        return self.outputs(x)[0]

    def outputs(self, x: Tensor) -> list[Tensor]:
        """The logits, and those of deep supervision from fine to coarse."""
        if self._moved:
            x = x.permute(0, 1, *self._order).flip(self._flipped)
        result = self.net(x)
        if isinstance(result, list | tuple):
            found = list(result)
        else:
            found = [result] if result.ndim == x.ndim else list(result.unbind(1))
        if self._moved:
            back = [self._order.index(axis) + 2 for axis in range(2, x.ndim)]
            found = [each.flip(self._flipped).permute(0, 1, *back) for each in found]
        return found[::-1] if self._backwards else found


class MonaiSegmenter(Segmenter):
    """A segmentation net of MONAI (MONAI Consortium, arXiv:2211.02701).

    Args:
        architecture: The net's class name in ``monai.networks.nets``, such as ``UNet``,
            ``SegResNet``, ``DynUNet`` or ``SwinUNETR``.
        network_arguments: Arguments of that class beside channels and dimensions; without, and
            where MONAI has no default, small ones. Where the data make a plan, levels and windows
            of UNet, AttentionUnet and DynUNet are its, and DynUNet has deep supervision.
        axcodes: The sides that the net's axes go to, as ``RAS``; the zoo's volumes go to S, A and
            R, and are turned for a net that has learned from others.
        training: The arguments of ``Segmenter``.

    Raises:
        UsageError: there is no such net, it does not take an argument, or it does not work on
            windows of the size.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {
        "architecture": "UNet",
        "network_arguments": {"channels": [8, 16], "strides": [2]},
    }

    def __init__(
        self,
        architecture: str,
        network_arguments: dict[str, Any] | None = None,
        axcodes: str = AXCODES,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        if len(axcodes) != 3 or sorted(AXES.get(letter, -1) for letter in axcodes) != [0, 1, 2]:
            raise UsageError(
                f"axcodes is {axcodes!r}; it takes one letter each of R or L, A or P, S or I, such "
                "as RAS"
            )
        if self.spatial_dims != 3 and axcodes != AXCODES:
            raise UsageError(f"axcodes is {axcodes!r}; a net of slices takes {AXCODES} alone")
        self._axcodes = axcodes
        cls = _class(architecture)
        own = _planned(cls.__name__, self.topology) or _DEFAULTS.get(cls.__name__, {})
        given = {**own, **(network_arguments or {})}
        takes = inspect.signature(cls.__init__).parameters
        if "img_size" in takes:
            given.setdefault("img_size", self.patch_size)
        for name in given:
            if name not in takes or name in ("self", *_TAKES):
                there = [known for known in takes if known not in ("self", *_TAKES)]
                near = nearest(name, there, 1)
                raise UsageError(
                    f"monai/{architecture} does not take {name!r}; "
                    + (f"did you mean {near}?" if near else f"it takes {', '.join(there)}")
                )
        self._arguments = given
        self.architecture = architecture
        self.network: MonaiNet = MonaiNet(self._build(self.num_classes), axcodes)
        self._head = self._find_head()
        self._check_window()

    def outputs(self, image: Tensor) -> list[Tensor]:
        image = image.to(next(self.network.parameters()).dtype)
        if image.is_cuda:  # whose fast convolutions take the channels last
            three = image.ndim == 5
            image = image.contiguous(
                memory_format=torch.channels_last_3d if three else torch.channels_last
            )
        return self.network.outputs(image)

    @staticmethod
    def require_known(architecture: str) -> None:
        """Check a net's class name.

        Raises:
            UsageError: MONAI has no such segmentation net.
        """
        _class(architecture)

    def _build(self, num_classes: int) -> nn.Module:
        cls = _class(self.architecture)
        takes = inspect.signature(cls.__init__).parameters
        own: dict[str, Any] = {
            "in_channels": self.in_channels,
            "out_channels": num_classes,
            "spatial_dims": self.spatial_dims,
        }
        try:
            net: nn.Module = cls(**{k: v for k, v in own.items() if k in takes}, **self._arguments)
            return net
        except ImportError as error:
            raise UsageError(
                f"monai/{self.architecture} needs a package that is missing: "
                + str(error).splitlines()[0]
            ) from error
        except (TypeError, ValueError, AssertionError, NotImplementedError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UsageError(
                f"monai/{self.architecture} cannot be built so ({reason}); change "
                "model.network_arguments"
            ) from error

    @property
    def head(self) -> tuple[str, ...]:
        """The modules whose size depends on the number of classes."""
        return self._head

    def _find_head(self) -> tuple[str, ...]:
        with torch.random.fork_rng(devices=[]):  # the net's own weights stay those of the seed
            other = MonaiNet(self._build(self.num_classes + 1)).state_dict()
        changed = [
            name.rpartition(".")[0]
            for name, tensor in self.network.state_dict().items()
            if tensor.shape != other[name].shape
        ]
        return tuple(dict.fromkeys(f"network.{name}" for name in changed))

    @torch.no_grad()
    def _check_window(self) -> None:
        """Try the net on nothing: better known before training that it takes no such size."""
        trial = copy.deepcopy(self.network).to("meta").eval()  # shapes alone
        sizes = [self.patch_size]
        if self.window != self.patch_size and all(self.window):
            sizes.append(self.window)
        for size in sizes:
            image = torch.empty(1, self.in_channels, *size, device="meta")
            try:
                shape = list(trial(image).shape[2:])
                reason = f"it gives {shape}"
            except ImportError as error:
                raise UsageError(
                    f"monai/{self.architecture} needs a package that is missing: "
                    + str(error).splitlines()[0]
                ) from error
            except (RuntimeError, ValueError, AssertionError) as error:
                shape = []
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if shape != size:
                raise UsageError(
                    f"monai/{self.architecture} does not work on windows of {size} ({reason}); "
                    "set data.patch_size and model.window to larger multiples of its strides, "
                    "such as 64"
                )


def _planned(name: str, topology: Mapping[str, Any] | None) -> dict[str, Any]:
    """The arguments of a net that has the levels of a plan; none where it has others."""
    if not topology or not topology["strides"]:
        return {}
    strides, kernels = topology["strides"], topology["kernel_size"]
    if name == "DynUNet":
        return {
            "kernel_size": kernels,
            "strides": [[1] * len(strides[0]), *strides],
            "upsample_kernel_size": strides,
            "filters": _channels(_FILTERS, len(kernels)),
            "deep_supervision": len(strides) > 2,
            "deep_supr_num": max(1, len(strides) - 2),
        }
    if name == "UNet":
        return {"channels": _channels(16, len(kernels)), "strides": strides, "num_res_units": 2}
    if name == "AttentionUnet":
        return {"channels": _channels(16, len(kernels)), "strides": strides}
    return {}


def _channels(first: int, levels: int) -> list[int]:
    return [min(first * 2**level, _MOST_FILTERS) for level in range(levels)]


def _class(name: str) -> Any:
    """A class of monai.networks.nets that takes channels in and out."""
    known = {
        other: value
        for other, value in vars(nets).items()
        if inspect.isclass(value)
        and {"in_channels", "out_channels"} <= set(inspect.signature(value.__init__).parameters)
    }
    if name in known:
        return known[name]
    names = sorted({value.__name__ for value in known.values()})
    lower = {other.lower(): other for other in names}
    near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    hint = ", ".join(lower[other] for other in near)
    raise UsageError(
        f"MONAI has no segmentation net {name!r}; "
        + (f"did you mean {hint}?" if near else f"there are {', '.join(names)}")
    )
