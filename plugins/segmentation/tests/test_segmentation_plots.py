"""Metrics of segmentations."""

from __future__ import annotations

import numpy as np
import pytest

from zoo_segmentation.data.phantom import LABELS, make_phantom
from zoo_segmentation.plots import class_table, membrane_map
from zoo_segmentation.slices import class_color, orthogonal_slices


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


def test_the_table_has_a_row_a_class_and_a_dash_for_what_is_not_known():
    figure = class_table(
        {"gray": {"dice": 0.84821, "hd95 (mm)": float("nan")}, "white": {"dice": 1.0, "avd": 0.5}}
    )
    (table,) = figure.axes[0].tables
    cells = {place: cell.get_text().get_text() for place, cell in table.get_celld().items()}
    assert [cells[0, column] for column in range(3)] == ["dice", "hd95 (mm)", "avd"]
    assert [cells[1, column] for column in range(-1, 3)] == ["gray", "0.8482", "-", "-"]
    assert [cells[2, column] for column in range(-1, 3)] == ["white", "1", "-", "0.5"]


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
