"""The papers' notation for networks, such as ``1x29x29-20C4-MP2-40C5-MP3-150N-10N``.

Ciresan et al., IJCAI 2011 and CVPR 2012 (arXiv:1202.2745), describe a network by its input and its
layers, joined by hyphens:

=============  ==========================================================================
``1x29x29``    the input: maps x height x width
``20C4``       convolution: 20 maps, 4x4 kernels, valid (no padding), stride 1
``MP2``        max-pooling over 2x2 regions that do not overlap; also written ``20MP2``
``150N``       fully connected layer of 150 units
``10N``        the last layer: one unit a class; ``-N`` alone takes the data's class count
=============  ==========================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from zoo.plugin import UsageError

_INPUT = re.compile(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)")
_CONVOLUTION = re.compile(r"([1-9]\d*)C([1-9]\d*)")
_POOLING = re.compile(r"([1-9]\d*)?MP([1-9]\d*)")
_UNITS = re.compile(r"([1-9]\d*)?N")
_EXAMPLE = "1x29x29-20C4-MP2-40C5-MP3-150N-N"


@dataclass(frozen=True, slots=True)
class Maps:
    """The output of a layer: ``channels`` maps of ``height`` x ``width``."""

    channels: int
    height: int
    width: int

    @property
    def values(self) -> int:
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"


@dataclass(frozen=True, slots=True)
class Convolution:
    """A valid convolution with stride 1."""

    kernel: int
    before: Maps
    after: Maps


@dataclass(frozen=True, slots=True)
class Pooling:
    """Max-pooling over ``window`` x ``window`` regions that do not overlap."""

    window: int
    before: Maps
    after: Maps


@dataclass(frozen=True, slots=True)
class Units:
    """A fully connected layer from ``before`` values to ``after`` units."""

    before: int
    after: int


Layer = Convolution | Pooling | Units


@dataclass(frozen=True, slots=True)
class Network:
    """A network whose sizes add up; the last of ``layers`` is the output layer."""

    input: Maps
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """Number of weights and biases, every map connected to every map before it."""
        total = 0
        for layer in self.layers:
            if isinstance(layer, Convolution):
                total += layer.after.channels * (layer.before.channels * layer.kernel**2 + 1)
            elif isinstance(layer, Units):
                total += layer.after * (layer.before + 1)
        return total


def parse(net: str, num_classes: int, partial_pooling: bool = False) -> Network:
    """Read a network string and compute its sizes, layer by layer.

    Args:
        net: The network, such as ``1x29x29-20C4-MP2-40C5-MP3-150N-10N``. A last ``-N`` stands
            for ``num_classes`` units.
        num_classes: Number of classes the last layer has to tell apart.
        partial_pooling: Let the last pooling region of a row or column be smaller where the
            size does not divide, instead of refusing the network.

    Raises:
        UsageError: a layer is not understood, or the sizes do not add up.
    """
    first, *tokens = net.strip().split("-")
    found = _INPUT.fullmatch(first)
    if not found:
        raise UsageError(
            f"network {net!r}: it starts with {first!r}, which is not an input size; write maps x "
            f"height x width first, as in {_EXAMPLE!r}"
        )
    shape = Maps(*(int(group) for group in found.groups()))
    walk = _Walk(net, shape, [f"input {shape}"], partial_pooling)
    for position, token in enumerate(tokens, start=2):
        walk.add(token, position, last=position == len(tokens) + 1, num_classes=num_classes)
    if not walk.layers or not isinstance(walk.layers[-1], Units):
        raise UsageError(
            f"network {net!r} has no output layer; end it with '-{num_classes}N', or with '-N' "
            "to follow the data's number of classes"
        )
    if walk.layers[-1].after != num_classes:
        raise UsageError(
            f"network {net!r} ends with {walk.layers[-1].after} units but the data has "
            f"{num_classes} classes; end it with '-{num_classes}N', or with '-N' to follow the "
            "data"
        )
    return Network(shape, tuple(walk.layers))


def open_ended(net: str) -> str:
    """The same network with ``-N`` in place of the number of its output units."""
    before, _, last = net.strip().rpartition("-")
    return f"{before}-N" if re.fullmatch(r"\d*N", last) else net


class _Walk:
    """Goes through the tokens of one network, keeping the size reached."""

    def __init__(self, net: str, shape: Maps, sizes: list[str], partial: bool) -> None:
        self.net = net
        self.size: Maps | int = shape
        self.sizes = sizes
        self.partial = partial
        self.layers: list[Layer] = []

    def add(self, token: str, position: int, last: bool, num_classes: int) -> None:
        convolution = _CONVOLUTION.fullmatch(token)
        pooling = _POOLING.fullmatch(token)
        units = _UNITS.fullmatch(token)
        layer: Layer
        if convolution:
            layer = self._convolution(token, *(int(group) for group in convolution.groups()))
        elif pooling:
            maps = int(pooling[1]) if pooling[1] else None
            layer = self._pooling(token, maps, int(pooling[2]))
        elif units:
            if not units[1] and not last:
                raise UsageError(
                    f"network {self.net!r}: 'N' without a number, part {position}, stands for "
                    "the classes and comes last; write the number of units, such as '150N'"
                )
            before = self.size.values if isinstance(self.size, Maps) else self.size
            layer = Units(before, int(units[1]) if units[1] else num_classes)
        else:
            raise UsageError(
                f"network {self.net!r}: part {position}, {token!r}, is not a layer; layers are "
                "'20C4' (20 maps, 4x4 convolution), 'MP2' (2x2 max-pooling) and '150N' (150 units)"
            )
        self.size = layer.after
        self.sizes.append(f"{token} {layer.after}")
        self.layers.append(layer)

    def _convolution(self, token: str, channels: int, kernel: int) -> Convolution:
        maps = self._maps(token)
        if kernel > min(maps.height, maps.width):
            raise self._refuse(
                f"{token} needs maps of at least {kernel}x{kernel} but gets "
                f"{maps.height}x{maps.width}; use a smaller kernel or a larger input"
            )
        after = Maps(channels, maps.height - kernel + 1, maps.width - kernel + 1)
        return Convolution(kernel, maps, after)

    def _pooling(self, token: str, channels: int | None, window: int) -> Pooling:
        maps = self._maps(token)
        if channels not in (None, maps.channels):
            raise self._refuse(
                f"{token} pools {channels} maps but gets {maps.channels}; write 'MP{window}'"
            )
        if window > min(maps.height, maps.width):
            raise self._refuse(
                f"{token} needs maps of at least {window}x{window} but gets "
                f"{maps.height}x{maps.width}; use a smaller window or a larger input"
            )
        if not self.partial and (maps.height % window or maps.width % window):
            down = [side - side % window for side in (maps.height, maps.width)]
            up = [-(-side // window) * window for side in (maps.height, maps.width)]
            raise self._refuse(
                f"{token} does not divide maps of {maps.height}x{maps.width}; "
                f"{down[0]}x{down[1]} or {up[0]}x{up[1]} would fit: change the input or a kernel "
                "before it, or set partial_pooling to keep a smaller last region"
            )
        after = Maps(maps.channels, -(-maps.height // window), -(-maps.width // window))
        return Pooling(window, maps, after)

    def _maps(self, token: str) -> Maps:
        if isinstance(self.size, Maps):
            return self.size
        raise self._refuse(
            f"{token} comes after a fully connected layer, which has no maps; convolutions and "
            "pooling come first"
        )

    def _refuse(self, reason: str) -> UsageError:
        return UsageError(
            f"network {self.net!r} does not add up: {reason} (sizes: {', '.join(self.sizes)})"
        )
