"""Metrics of segmentations."""

from __future__ import annotations

import numpy as np
import pytest

from zoo_segmentation.data.phantom import LABELS, make_phantom
from zoo_segmentation.plots import class_colors, class_table, membrane_map, orthogonal_slices


def test_three_slices_show_the_image_and_each_map_where_most_is_labelled():
    image, label = make_phantom(0, (16, 24, 20))
    other = np.roll(label, 1, axis=0)
    figure = orthogonal_slices(
        image[0], {"label": label, "prediction": other}, LABELS, (4, 2, 2), "phantom 0"
    )
    assert [axes.get_title() for axes in figure.axes[:3]] == ["image", "label", "prediction"]
    assert len(figure.axes) == 9
    foreground = label > 0
    for axis, first in enumerate(figure.axes[::3]):
        others = tuple(o for o in range(3) if o != axis)
        place = int(foreground.sum(axis=others).argmax())
        assert first.get_ylabel() == f"{('axial', 'coronal', 'sagittal')[axis]}, slice {place}"
        assert np.array_equal(first.images[0].get_array(), image[0].take(place, axis))
    predicted = figure.axes[2].images
    assert np.array_equal(
        predicted[1].get_array(), other.take(int(figure.axes[0].get_ylabel()[-1]), 0)
    )
    # Axial pixels are square, the other planes' are twice as tall as wide.
    assert [figure.axes[row].get_aspect() for row in (0, 3, 6)] == pytest.approx([1, 2, 2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == LABELS[1:]


@pytest.mark.parametrize("shape", [(12, 10), (1, 12, 10)])
def test_a_single_slice_is_one_row(shape):
    label = np.zeros(shape, dtype=np.uint8)
    figure = orthogonal_slices(np.random.rand(*shape), {"prediction": label}, ["no", "yes"])
    assert len(figure.axes) == 2


def test_the_background_is_clear_and_classes_have_colors():
    colors = class_colors(9)
    assert colors.N == 9
    assert colors(0)[3] == 0
    assert len({colors(index) for index in range(1, 7)}) == 6


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
