"""Metrics of segmentations."""

from __future__ import annotations

import numpy as np
import pytest

from zoo_segmentation.cases import Case, TestedCases
from zoo_segmentation.data.phantom import LABELS, make_phantom
from zoo_segmentation.plots import membrane_map
from zoo_segmentation.slices import class_color, cut_slices, orthogonal_slices


def test_three_slices_show_the_image_and_each_map_where_most_is_labelled():
    image, label = make_phantom(0, (16, 24, 20))
    other = np.roll(label, 1, axis=0)
    sheet = orthogonal_slices(
        image[0], {"label": label, "prediction": other}, LABELS, (4, 2, 2), r"a \$1", sides=True
    )
    foreground = label > 0
    places = [
        int(foreground.sum(axis=tuple(o for o in range(3) if o != axis)).argmax())
        for axis in range(3)
    ]
    planes = zip(("axial", "coronal", "sagittal"), places, strict=True)
    rows = [f"{plane}, slice {place}" for plane, place in planes]
    assert sheet.titles == ["image", "label", "prediction", "a $1", *rows, *LABELS[1:]]
    pixels = np.asarray(sheet.picture)
    # Three panels of 240 pixels beside a margin; axial pixels are square, the other planes' are
    # twice as tall as wide.
    assert pixels.shape[1] == 24 + 3 * 250
    heights = [288, 384, 320]  # 240 * 24/20, 240 * 64/40 and 240 * 64/48
    assert pixels.shape[0] == 2 * 18 + 5 + sum(heights) + 3 * 10 + 18
    top = 2 * 18 + 5
    panels = [pixels[top : top + 288, 24 + c * 250 : 24 + c * 250 + 240] for c in range(3)]
    colored = [(panel.max(axis=-1) != panel.min(axis=-1)).mean() for panel in panels]
    assert colored[0] == 0
    for cut, share in zip((label, other), colored[1:], strict=True):
        assert share == pytest.approx((cut[places[0]] > 0).mean(), abs=0.02)
    # The anterior side is up: the last line of H is the first of the picture.
    gray = panels[0][..., 0].astype(float)
    cut = image[0, places[0]]
    assert np.corrcoef(gray[6::12, 6::12].ravel(), cut[::-1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("shape", [(12, 10), (1, 12, 10)])
def test_a_single_slice_is_one_row(shape):
    label = np.zeros(shape, dtype=np.uint8)
    sheet = orthogonal_slices(np.random.rand(*shape), {"prediction": label}, ["no", "yes"])
    assert sheet.titles == ["image", "prediction", "yes"]
    assert sheet.picture.height == 18 + 5 + 288 + 10 + 18


def test_neighboring_classes_have_different_colors():
    assert len({class_color(index) for index in range(1, 7)}) == 6
    assert class_color(7) == class_color(1)


def test_the_worst_and_the_median_case_are_drawn():
    cases = TestedCases()
    assert cases.draw(["no", "yes"]) == {}
    label = np.zeros((4, 6, 5), dtype=np.uint8)
    for name, dice in (("a", 0.9), ("b", 0.2), ("c", 0.5), ("none", float("nan"))):
        cases.add(Case(name, dice, cut_slices(label * 1.0, {"label": label}), sides=True))
    drawn = cases.draw(["no", "yes"])
    headings = {key: sheet.titles[2] for key, sheet in drawn.items()}
    assert headings == {"worst_case": "b: Dice 0.200", "median_case": "c: Dice 0.500"}


def test_membranes_are_dark_beside_their_slice():
    slice_ = np.random.default_rng(0).random((8, 8))
    truth = np.eye(8, dtype=bool)
    figure = membrane_map(slice_, truth * 0.75, truth, "slice 3")
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert np.array_equal(shown[0], slice_)
    assert shown[1][0, 0] == 0.25
    assert shown[1][0, 1] == 1
    assert shown[2][0, 0] == 0
    assert len(membrane_map(slice_, slice_).axes) == 2
