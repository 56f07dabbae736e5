"""Plots show what they are given, and fit their texts in."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from zoo import plots


def titles(figure: plots.Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def test_curves_of_a_quantity_share_a_panel() -> None:
    figure = plots.curves(
        {
            "test/loss": [(4, 1.5)],
            "val/loss": [(1, 3.5), (2, 2.5)],
            "train/loss": [(1, 3.0), (2, 2.0), (3, 1.0)],
            "train/accuracy": [(1, 0.1), (2, math.nan), (3, 0.9)],
            "lr": [(1, 0.1), (2, 0.05)],
        }
    )
    assert titles(figure) == ["accuracy", "loss", "lr"]
    train, val, test = figure.axes[1].get_lines()
    assert [line.get_label() for line in (train, val, test)] == ["train", "val", "test 1.5"]
    assert list(train.get_ydata()) == [3.0, 2.0, 1.0]
    assert list(test.get_xdata()) == [0, 1]  # across the panel, at no epoch of its own
    assert figure.axes[0].get_lines()[0].get_color() == train.get_color()
    assert [tick for tick in figure.axes[1].get_xticks() if tick != int(tick)] == []


def test_what_was_measured_once_stands_in_a_table() -> None:
    once = {f"test/dice/class {number}": [(3, 0.5)] for number in range(30)}
    figure = plots.curves({"train/loss": [(1, 2.0)], "val/loss": [(1, 3.0)], **once})
    assert titles(figure) == ["measured once (7 more in metrics.json)"]
    (table,) = figure.axes[0].tables
    texts = [[table[0, column].get_text().get_text() for column in range(4)]]
    texts += [[table[24, column].get_text().get_text() for column in range(4)]]
    assert texts[0] == ["", "train", "val", "test"]
    assert texts[1] == ["dice/class 29", "", "", "0.5"]


def test_error_is_not_drawn_beside_accuracy_nor_the_count_of_the_x_axis() -> None:
    two = [(10.0, 0.1), (20.0, 0.2)]
    metrics = {"val/accuracy": two, "val/error": two, "train/env_steps": two}
    assert titles(plots.curves(metrics, "env steps")) == ["accuracy"]
    assert titles(plots.curves({"val/error": two})) == ["error"]


@pytest.mark.parametrize(
    ("curve", "scale"),
    [
        ([10.0, 1.0, 0.01], "log"),  # a loss that falls over three powers of ten
        ([0.01, 0.5, 0.99], "linear"),  # an accuracy that rises over two
        ([1.0, 1e2, 1e5], "log"),
        ([10.0, 0.0, 0.01], "linear"),
    ],
)
def test_a_wide_range_asks_for_a_logarithmic_axis(curve: list[float], scale: str) -> None:
    figure = plots.curves({"train/loss": list(enumerate(curve))})
    assert figure.axes[0].get_yscale() == scale


def test_no_curves(tmp_path: Path) -> None:
    plots.save(plots.curves({}), tmp_path / "in" / "curves.png")
    assert (tmp_path / "in" / "curves.png").read_bytes().startswith(b"\x89PNG")


def widths_of_labels(figure: plots.Figure) -> list[tuple[float, float]]:
    """Left and right ends of the labels below the axes, in pixels."""
    figure.canvas.draw()
    boxes = [each.get_window_extent() for each in figure.axes[0].get_xticklabels()]
    return [(box.x0, box.x1) for box in boxes]


@pytest.mark.parametrize("classes", [8, 40])
@pytest.mark.parametrize("length", [1, 40])
def test_names_below_a_confusion_matrix_do_not_overlap(classes: int, length: int) -> None:
    names = [f"{number:x}".rjust(length, "w") for number in range(classes)]
    ends = widths_of_labels(plots.confusion_matrix(np.eye(classes, dtype=int), names))
    assert len(ends) >= classes // 2
    assert all(one[1] <= other[0] for one, other in pairwise(ends))


def test_a_confusion_matrix_writes_the_counts() -> None:
    counts = np.array([[5, 0, 0], [1, 3, 0], [0, 0, 0]])  # nothing is of the last class
    (axes,) = plots.confusion_matrix(counts, ["a", "b", "c"]).axes
    assert axes.get_title() == "9 samples, 88.89% on the diagonal"
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "5", (0, 1): "1", (1, 1): "3"}  # (prediction, truth)
    colors = {text.get_position(): text.get_color() for text in axes.texts}
    assert colors == {(0, 0): "white", (0, 1): "black", (1, 1): "white"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b", "c"]
    assert {tick.get_rotation() for tick in axes.get_xticklabels()} == {0}


def test_a_confusion_matrix_of_many_classes_has_no_numbers() -> None:
    names = [f"sign {number}" for number in range(31)]
    (axes,) = plots.confusion_matrix(np.eye(31, dtype=int), names).axes
    assert list(axes.texts) == []
    assert {tick.get_rotation() for tick in axes.get_xticklabels()} == {90}


def test_a_contact_sheet_shows_pictures_under_their_titles() -> None:
    images = [np.zeros((4, 8)), np.full((400, 400, 3), 255, np.uint8), np.full((4, 4), 0.5)]
    long = "a label of more than twenty-four letters"
    sheet = plots.contact_sheet(images, ["one", f"{long}\n0.9", r"5 \$"], columns=2, heading="head")
    assert sheet.titles == ["one", "a label of more than\ntwenty-four letters\n0.9", "5 $"]
    assert sheet.picture.size == (2 * 180, 30 + 2 * (3 * 15 + 180))
    centers = [sheet.picture.getpixel((x, y)) for x, y in ((90, 165), (270, 165), (90, 390))]
    assert centers == [(0, 0, 0), (255, 255, 255), (128, 128, 128)]
    assert sheet.picture.getpixel((90, 100)) == (255, 255, 255)  # twice as wide as high
    pixels = np.asarray(sheet.picture)
    heading, title = pixels[:30], pixels[30:75, :180]
    assert (heading == 0).any()
    assert (title == 0).any()


def test_a_contact_sheet_in_other_formats(tmp_path: Path) -> None:
    plots.contact_sheet([np.zeros((4, 4))], ["one"]).savefig(tmp_path / "sheet.svg")
    assert "<image" in (tmp_path / "sheet.svg").read_text()


def test_an_empty_contact_sheet(tmp_path: Path) -> None:
    plots.save(plots.contact_sheet([], []), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()


def test_a_contact_sheet_has_a_title_for_every_image() -> None:
    with pytest.raises(ValueError, match="shorter"):
        plots.contact_sheet([np.zeros((2, 2))] * 2, ["one"])


def test_an_overlay_leaves_class_0_clear() -> None:
    truth = np.array([[0, 1], [2, 0]])
    figure = plots.overlay(np.eye(2), {"truth": truth}, ["nothing", "a", "b"])
    assert titles(figure) == ["image", "truth"]
    alone, (below, above) = figure.axes[0].get_images(), figure.axes[1].get_images()
    assert len(alone) == 1
    assert np.array_equal(below.get_array(), np.eye(2))
    assert np.array_equal(np.ma.getmaskarray(above.get_array()), truth == 0)
    assert above.get_clim() == (0, 2)  # a class has the same color in every picture
