"""Learning curves and GIFs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo_rl.plots import commanded_and_achieved, learning_curve, save_gif


def test_a_learning_curve_shows_the_mean_of_seeds_that_end_at_different_steps() -> None:
    curves = [[(0, 0.0), (10, 10.0)], [(0, 2.0), (5, 7.0), (20, 22.0)]]
    figure = learning_curve({"udrl": curves}, {"the paper": 5.0})
    (axes,) = figure.axes
    (mean,) = (line for line in axes.get_lines() if line.get_label() == "udrl (2 seeds)")
    x, y = np.asarray(mean.get_xdata()), np.asarray(mean.get_ydata())
    assert (x[0], x[-1]) == (0, 10)
    np.testing.assert_allclose(y, x + 1)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["udrl (2 seeds)", "the paper"]  # and none in the frame's way
    assert not axes.texts


def test_a_single_seed_is_drawn_at_its_own_points() -> None:
    (axes,) = learning_curve({"one": [[(1, 2.0), (3, 4.0)]]}).axes
    (line,) = axes.get_lines()
    np.testing.assert_allclose(line.get_ydata(), [2, 4])
    assert not axes.collections


def test_a_method_without_points_is_refused() -> None:
    with pytest.raises(ValueError, match="'empty'"):
        learning_curve({"empty": [[]]})


def test_commanded_and_achieved_puts_a_point_for_every_episode() -> None:
    (axes,) = commanded_and_achieved([1.0, 2.0], [1.5, 1.0]).axes
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[1, 1.5], [2, 1]])


@pytest.mark.parametrize(("fps", "count", "duration"), [(25, 10, 40), (50, 10, 20), (100, 5, 20)])
def test_a_gif_keeps_its_length(tmp_path: Path, fps: int, count: int, duration: int) -> None:
    frames = [np.full((20, 600, 3), 25 * i, dtype=np.uint8) for i in range(10)]
    save_gif(frames, tmp_path / "new" / "a.gif", fps)
    with Image.open(tmp_path / "new" / "a.gif") as gif:
        assert gif.size == (300, 10)
        assert gif.n_frames == count  # type: ignore[attr-defined]
        assert gif.info["duration"] == duration
        assert gif.info["loop"] == 0


def test_a_gif_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one frame"):
        save_gif([], tmp_path / "a.gif")
