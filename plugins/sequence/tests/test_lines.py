"""Images of lines of text: reading, one's own folder, rendered ones, a recognizer of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import zoo
from zoo.plugin import UsageError
from zoo_sequence.ctc_recognizer import CTCRecognizer
from zoo_sequence.data.line_images import LineImages
from zoo_sequence.data.rendered_lines import RenderedLines, rendered
from zoo_sequence.lines import LineFrontEnd, read_line


def save(path: Path, text: str, height: int = 32, dark: bool = False) -> Path:
    """A rendered line of that text."""
    ink = rendered(text, height, 0.0, torch.Generator().manual_seed(len(text)))
    shown = ink if dark else 1 - ink
    Image.fromarray((255 * shown).byte().numpy()).save(path)
    return path


def test_an_image_is_ink_on_paper_at_one_height(tmp_path: Path) -> None:
    plain = read_line(save(tmp_path / "a.png", "12"), 32)
    assert plain.notes == ()
    assert plain.samples.shape[0] == 32
    assert plain.samples.median() == 0
    dark = read_line(save(tmp_path / "b.png", "12", dark=True), 32)
    torch.testing.assert_close(dark.samples, plain.samples, atol=0.01, rtol=0)
    assert dark.notes == ("inverted, as its paper is dark",)
    tall = read_line(save(tmp_path / "c.png", "12", height=64), 32)
    assert tall.notes == ("scaled from 64 rows to 32",)
    assert tall.scale == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA", "P", "I;16"])
def test_images_of_any_mode_are_read_alike(tmp_path: Path, mode: str) -> None:
    gray = np.full((20, 30), 255, np.uint8)
    gray[5:15, 10:12] = 0
    image = Image.fromarray(gray)
    if mode == "I;16":
        image = Image.fromarray(gray.astype(np.uint16) * 257)
    elif mode in ("RGBA", "LA"):  # what is transparent is paper, whatever is below it
        image = Image.merge(mode, [Image.new("L", (30, 20), 0)] * (len(mode) - 1) + [
            Image.fromarray(255 - gray)
        ])  # fmt: skip
    elif mode != "L":
        image = image.convert(mode)
    image.save(tmp_path / "a.png")
    ink = read_line(tmp_path / "a.png", 20).samples
    torch.testing.assert_close(ink, torch.from_numpy(1 - gray / 255).float())


def test_what_is_no_image_of_a_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read as an image"):
        read_line(tmp_path / "a.png", 32)
    Image.new("L", (30, 20), 9).save(tmp_path / "b.png")
    with pytest.raises(UsageError, match="is blank"):
        read_line(tmp_path / "b.png", 32)
    pages = [Image.new("L", (30, 20), shade) for shade in (0, 255)]
    pages[0].save(tmp_path / "c.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(UsageError, match="has 2 pages"):
        read_line(tmp_path / "c.tif", 32)


def test_frames_are_columns_from_left_to_right() -> None:
    front = LineFrontEnd(height=8, columns=2)
    image = torch.arange(8 * 5).reshape(8, 5).float()
    frames = front.frames(image)
    assert frames.shape == (2, 16)
    torch.testing.assert_close(frames[1], torch.cat([image[:, 2], image[:, 3]]))
    assert front.frames(image[:, :1]).shape == (1, 16)
    ink = torch.zeros(8, 20)
    ink[3:5, 4:8] = 1
    taller = front.frames(ink, warp=1.5).reshape(20, 8).T
    assert 2 * taller.sum() == pytest.approx(3 * float(ink.sum()), rel=0.2)
    assert (taller.sum(1) * torch.arange(8)).sum() / taller.sum() == pytest.approx(3.5, abs=0.3)
    assert len(front.frames(ink, tempo=0.5)) == 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images and their texts in a table."""
    lines = ["file,text"]
    for index in range(10):
        text = f"{index}{(index + 3) % 10}"
        save(tmp_path / f"{index}.png", text, height=40 if index == 3 else 32)
        lines.append(f"{index}.png,{text}")
    (tmp_path / "transcripts.csv").write_text("\n".join(lines), "utf-8")
    return tmp_path


def test_a_folder_is_read_by_its_table_or_by_texts_beside(folder: Path) -> None:
    data = LineImages(str(folder), columns=4)
    assert data.facts["label_names"] == ["-", *"0123456789"]
    assert [data.length(part) for part in ("train", "val", "test")] == [7, 1, 2]
    assert "1 scaled from 40 rows to 32 (such as 3.png)" in data.describe_found()
    named = {u.name: u.symbols for part in ("train", "val", "test") for u in data.utterances(part)}
    (folder / "transcripts.csv").unlink()
    for index in range(10):
        suffix = ".gt.txt" if index % 2 else ".txt"
        (folder / f"{index}{suffix}").write_text(f"{index}{(index + 3) % 10}\n", "utf-8")
    beside = LineImages(str(folder), columns=4)
    found = [u for part in ("train", "val", "test") for u in beside.utterances(part)]
    assert {u.name: u.symbols for u in found} == named
    (folder / "5.gt.txt").write_text(" \n", "utf-8")
    with pytest.raises(UsageError, match=r"1 images have no text, or an empty one.*5\.png"):
        LineImages(str(folder)).setup()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"symbols": list("012345678")}, r"line 8 \['9'\], line 11 \['9'\]"),
        ({"columns": 30}, r"images are shorter than CTC needs.*lower --data.columns"),
        ({"height": 4}, "height"),
    ],
)
def test_what_does_not_fit_is_refused(folder: Path, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        LineImages(str(folder), **arguments).setup()


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"neither transcripts\.csv"):
        LineImages(str(tmp_path)).setup()
    with pytest.raises(UsageError, match="there is no"):
        LineImages(str(tmp_path / "no")).setup()


def test_rendered_lines_are_the_same_whenever_they_are_asked_for() -> None:
    data = RenderedLines(longest=3, epoch=40)
    first, again = (RenderedLines(longest=3).draw("test", 4) for _ in range(2))
    torch.testing.assert_close(first.source.samples, again.source.samples)
    other = RenderedLines(longest=3, seed=1)
    assert other.draw("test", 4).name == first.name
    assert [other.draw("train", n).name for n in range(8)] != [
        data.draw("train", n).name for n in range(8)
    ]
    assert {len(data.draw("train", n).symbols) for n in range(40)} == {1, 2, 3}
    for symbols in ("", "11", "1 "):
        with pytest.raises(UsageError, match="they have to differ"):
            RenderedLines(symbols=symbols)


def test_predictions_of_images_have_text_places_and_a_picture(tmp_path: Path) -> None:
    zoo.train(
        "sequence/rendered-lines",
        {
            "model.hidden": 4, "data.epoch": 16, "trainer.max_epochs": 1,
            "trainer.limit_test_batches": 1, "trainer.limit_val_batches": 1,
            "trainer.enable_progress_bar": False, "trainer.accelerator": "cpu",
            "trainer.logger": False,
        },
        out=tmp_path / "run",
    )  # fmt: skip
    model: Any = zoo.load(tmp_path / "run")
    assert isinstance(model, CTCRecognizer)
    assert model.input_suffixes[0] == ".png"
    path = save(tmp_path / "a.png", "2718", height=64)

    def certain(frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        logits = torch.zeros(1, frames.shape[1], 11)
        logits[:, 1, 3] = logits[:, 3, 8] = 20
        logits[:, [0, 2, *range(4, frames.shape[1])], 0] = 20
        return logits

    model.forward = certain
    sample = model.read_file(path)
    told = model.predict_sample(sample)
    assert model.describe_prediction(told)["text"] == "27"
    assert told.notes == ("scaled from 64 rows to 32",)
    first = told.symbols[0]  # frames of 4 columns, each of which is two of the file
    assert (first.start, first.end) == pytest.approx((8, 16), abs=0.3)
    written = model.write_prediction("a", sample, told, tmp_path, probabilities=True)
    assert (tmp_path / written["emissions"]).stat().st_size > 1000
    with (tmp_path / written["symbols"]).open(encoding="utf-8") as file:
        assert [row["symbol"] for row in csv.DictReader(file)] == ["2", "7"]
    assert json.dumps(model.describe_prediction(told))
