"""Weights carried over to volumes of another number of channels."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from zoo_segmentation.input_channels import adapt_axis
from zoo_segmentation.md_lstm import MDLSTMSegmenter
from zoo_segmentation.pyramid_lstm import PyramidLSTMSegmenter, SmallPyramidLSTMSegmenter
from zoo_segmentation.segmenter import Segmenter

LSTMS: dict[str, tuple[type[Segmenter], dict[str, Any]]] = {
    "small": (SmallPyramidLSTMSegmenter, {"hidden": [3, 3]}),
    "blocks of other sides": (SmallPyramidLSTMSegmenter, {"hidden": [3, 3], "block": [1, 2, 2]}),
    "paper": (
        PyramidLSTMSegmenter,
        {"hidden": [3, 4], "fully_connected": [3], "kernel_size": 3},
    ),
    "md": (MDLSTMSegmenter, {"hidden": [3], "spatial_dims": 2}),
}


@pytest.mark.parametrize("name", LSTMS)
@pytest.mark.parametrize(("before", "now"), [(1, 2), (3, 2), (2, 1)])
def test_lstms_give_on_equal_channels_what_they_gave_before(name, before, now):
    cls, arguments = LSTMS[name]
    old, new = (cls(in_channels=count, **arguments).eval() for count in (before, now))
    weights = cls.adapt_input_channels(dict(old.state_dict()), before, now)
    new.load_state_dict(weights)
    image = torch.rand(1, 1, 6, 7, 5)[..., : 5 if old.spatial_dims == 3 else 1]
    image = image if old.spatial_dims == 3 else image[..., 0]
    shape = [1, -1, *[-1] * old.spatial_dims]
    with torch.no_grad():
        first = old(image.expand(*(before if n == 1 else -1 for n in range(len(shape)))))
        second = new(image.expand(*(now if n == 1 else -1 for n in range(len(shape)))))
    assert torch.allclose(first, second, atol=1e-5)


def test_what_is_no_channel_stays():
    weight = torch.arange(10.0).reshape(1, 10)
    adapted = adapt_axis(weight, 1, before=2, now=1, positions=4)
    # Position by position the sum over the two channels, and the two inputs after them.
    assert adapted.tolist() == [[4, 6, 8, 10, 8, 9]]
