"""Plots show what they are given, and fit their texts in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo import plots


def titles(figure: plots.Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def test_curves_of_a_quantity_share_a_panel() -> None:
    figure = plots.curves(
        {
            "train/loss": [(0, 3.0), (1, 2.0), (2, 1.0)],
            "val/loss": [(0, 3.5)],
            "train/accuracy": [(0, 0.1)],
            "lr": [(0, 0.1)],
        }
    )
    assert titles(figure) == ["accuracy", "loss", "lr"]
    train, val = figure.axes[1].get_lines()
    assert train.get_label() == "train"
    assert list(train.get_ydata()) == [3.0, 2.0, 1.0]
    assert train.get_marker() == "None"
    assert val.get_marker() == "o"  # a line of one point could not be seen
    assert figure.axes[0].get_lines()[0].get_color() == train.get_color()


def test_no_curves(tmp_path: Path) -> None:
    plots.save(plots.curves({}), tmp_path / "in" / "curves.png")
    assert (tmp_path / "in" / "curves.png").read_bytes().startswith(b"\x89PNG")


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
