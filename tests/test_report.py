"""The page of a run: complete, escaped, small, and of one file."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoo.recipes.recipe import make_recipe
from zoo.report.charts import Chart, nice_ticks, thinned
from zoo.report.group_report import write_group_report
from zoo.report.markup import Markup, element, table
from zoo.report.pictures import smaller
from zoo.report.recipe_changes import changes
from zoo.report.run_report import write_run_report
from zoo.runs.group import Group, create_group
from zoo.runs.run import Run

EVIL = '<script>alert("x")</script>'
VOID = {"meta", "img", "input", "br"}


@dataclass
class Page(HTMLParser):
    """What is on a page; fails where its tags do not match."""

    tags: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attributes if k in ("src", "href", "data", "action")]
        assert not [k for k, _ in attributes if k.startswith("on")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(path: Path) -> Page:
    content = path.read_text(encoding="utf-8")
    assert len(content.encode()) < 2_000_000
    found = Page()
    found.feed(content)
    found.close()
    assert not found._open
    assert found.tags.count("script") == 1
    # One file, that asks nobody for anything.
    assert all(re.match(r"data:image/(png|jpeg);base64,", each) for each in found.links)
    assert not re.search(r"https?://|url\(|@import", content)
    return found


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of a hostile recipe, with names that are markup."""
    run = Run(tmp_path / "run")
    recipe = make_recipe(
        {
            "about": {
                "summary": EVIL,
                "target": {"metric": "test/accuracy", "value": 0.9},
                "source": "set for <b>this</b>",
            },
            "seed": 3,
            "model": {"name": "m", "label_names": [EVIL, "b"]},
            "data": {"name": "d"},
        },
        "own",
    )
    run.path.mkdir()
    run.recipe_file.write_text(recipe.to_yaml(), encoding="utf-8")
    run.write_json(
        "environment.json",
        {
            "recipe": f"own{EVIL}",
            "command": f"zoo train own --model.name '{EVIL}'",
            "found": ["80 points", EVIL],
            "parameters": 1234,
            "fit_seconds": 3725.0,
            "device": "cpu",
            "finished": "2026-01-02T03:04:05+00:00",
            "abilities": ["predict", "export"],
            "stop_reasons": ["after epoch 3: solved"],
            "versions": {"zoo": "1.2.3", "torch": "2.9"},
        },
    )
    run.write_json(
        "metrics.json",
        {"test/accuracy": 0.875, "val/loss": None, f"test/dice/{EVIL}": 0.5, "evaluations": 12345},
    )
    rows = [
        {"epoch": e, "step": 10 * e, f"train/{EVIL}": 1 / (e + 1), "val/loss": 2.0 - e / 10}
        for e in range(4)
    ]
    with run.metrics_csv.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return run


def test_everything_is_on_the_page_and_nothing_is_markup(run: Run) -> None:
    found = read(write_run_report(run))
    text = " ".join(found.text)
    for shown in (
        EVIL,
        "missed",
        "the target is at least 0.9",
        "set for <b>this</b>",
        "0.875",
        "12,345",
        "1,234 parameters",
        "1:02:05",
        "after epoch 3: solved",
        "80 points",
        "torch 2.9",
        f"zoo predict {run.path} YOUR-FILES --out predictions",
        "--format onnx",
        "nan",
    ):
        assert shown in text
    assert "b" not in found.tags[:3]
    assert found.tags.count("svg") == 2


def test_values_at_the_pointer_are_those_of_the_log(run: Run) -> None:
    content = write_run_report(run).read_text(encoding="utf-8")
    charts = [json.loads(unescape(each)) for each in re.findall(r'data-chart="([^"]*)"', content)]
    (loss,) = (each for each in charts if each["series"][0]["name"] == "val")
    assert loss["x"] == "epoch"
    assert loss["series"][0]["x"] == [1, 2, 3, 4]
    assert loss["series"][0]["y"] == [2.0, 1.9, 1.8, 1.7]


def noise(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compress_level=0)


def test_large_plots_are_made_smaller_until_the_page_fits(run: Run) -> None:
    for number in range(3):
        noise(run.plots / f"large{number}.png", 1200, 900)  # 3 MB each
    (run.plots / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    run.write_json("plots/captions.json", {"large2": EVIL, "gone": "nothing"})
    found = read(write_run_report(run))
    assert found.tags.count("img") == 3
    text = " ".join(found.text)
    assert "too large for this page: damaged.png" in text
    assert text.index("large2") < text.index("large0")  # what has a caption comes first


def test_a_small_picture_is_taken_as_it_is(tmp_path: Path) -> None:
    noise(tmp_path / "small.png", 8, 8)
    data = (tmp_path / "small.png").read_bytes()
    assert smaller(tmp_path / "small.png", 10_000) == ("image/png", data)
    assert smaller(tmp_path / "small.png", 10) == ("", b"")


def test_a_run_of_many_metrics_stays_small(run: Run) -> None:
    names = [f"val/dice/class {number}" for number in range(300)]
    with run.metrics_csv.open("w", newline="", encoding="utf-8") as file:
        file.write(",".join(["epoch", "step", *names]) + "\n")
        for epoch in range(100):
            file.write(",".join(map(str, [epoch, epoch, *[0.123456789] * 300])) + "\n")
    run.write_json("metrics.json", dict.fromkeys(names, 0.5))
    read(write_run_report(run))


def test_a_run_that_has_only_begun_has_a_page(run: Run) -> None:
    run.write_json("environment.json", {})
    run.write_json("metrics.json", {})
    run.metrics_csv.unlink()
    text = " ".join(read(write_run_report(run)).text)
    assert "not finished" in text
    assert "not measured" in text


def test_what_differs_from_the_named_recipe() -> None:
    def recipe(**model: Any) -> Any:
        return make_recipe({"model": {"name": "m", **model}, "data": {"name": "d"}}, "r")

    named = recipe(lr=1, net="a", gone=2)
    here = recipe(lr=1.0, net="b", momentum=0.9, schedule={"name": "x", "warm": 1})
    assert changes(named, here) == {"model.net": ("a", "b"), "model.gone": ("2", "")}
    found = changes(named, here, ["model.momentum", "model.schedule"])
    assert found["model.momentum"] == ("", "0.9")
    assert found["model.schedule.warm"] == ("", "1")


def test_markup_escapes_what_is_not_markup() -> None:
    assert element("a", ["<", Markup("<b>")], href='"x"') == '<a href="&quot;x&quot;">&lt;<b></a>'
    assert element("input", type="checkbox", checked=True) == '<input type="checkbox" checked>'
    assert "&lt;i&gt;" in table(["<i>"], [["<i>", Markup("<i></i>")]])


def test_ticks_are_round_and_long_curves_are_thinned() -> None:
    assert nice_ticks(0.0, 1.0) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert nice_ticks(1.0, 3.0, whole=True) == [1, 2, 3]
    assert nice_ticks(7.0, 7.0) == [7]
    points = [(float(x), float(x == 517)) for x in range(1000)]
    kept = thinned(points, 50)
    assert len(kept) <= 50
    assert (517.0, 1.0) in kept  # a spike is not lost
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]


@pytest.mark.parametrize(
    "points", [[(1, 5.0)], [(1, 0.0), (2, 0.0)], [(1, -1e-30), (2, 1e30)], [(1, float("nan"))]]
)
def test_any_curve_can_be_drawn(points: list[tuple[float, float]]) -> None:
    drawn = Chart("x", {"train": points}, levels={"target": 0.5}).draw()
    assert "nan" not in drawn
    assert bool(drawn) == (points[0][1] == points[0][1])


def test_a_group_says_what_became_of_each_run(run: Run) -> None:
    folder = run.path.parent / "group"
    group = Group(folder, "seeds", EVIL, {"seed-1": {"seed": 1}, "seed-2": {"seed": 2}}, {"a": [1]})
    create_group(group)
    run.path.rename(folder / "seed-1")
    (folder / "summary.csv").write_text("metric,mean\ntest/accuracy,0.123456789\n")
    path = write_group_report(group, ("One failed.",))
    text = path.read_text(encoding="utf-8")
    assert EVIL not in text
    for shown in ("1 of 2 runs finished", "0.12346", "One failed.", "seed-2"):
        assert shown in text


PROBE = """<script>addEventListener("load", () => {
  const svg = document.querySelector("svg[data-chart]");
  svg.dispatchEvent(new PointerEvent("pointermove", {clientX: 300, clientY: 200}));
  const wide = document.documentElement.scrollWidth > innerWidth;
  const said = svg.parentElement.querySelector("output").textContent;
  parent.postMessage(`${innerWidth}, sideways ${wide}, ${said}`, "*");
})</script>"""
FRAMES = """<body><script>addEventListener("message", (event) => {
  document.title += event.data + "; ";
})</script>
<iframe src="probed.html" width="390" height="900" frameborder="0"></iframe>
<iframe src="probed.html" width="1280" height="900" frameborder="0"></iframe></body>"""


def test_a_browser_shows_it_without_a_word_and_without_scrolling_sideways(
    run: Run, tmp_path: Path
) -> None:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    noise(run.plots / "wide.png", 900, 200)
    content = write_run_report(run).read_text(encoding="utf-8")
    probed = content.replace("</body>", f"{PROBE}</body>")
    (tmp_path / "probed.html").write_text(probed, encoding="utf-8")
    (tmp_path / "frames.html").write_text(FRAMES, encoding="utf-8")
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    words += [f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=5000"]
    page = (tmp_path / "frames.html").as_uri()
    done = subprocess.run(
        [program, *words, "--dump-dom", page], capture_output=True, text=True, check=True
    )
    assert "CONSOLE" not in done.stderr
    said = re.findall(r"(\d+), sideways (\w+), epoch [1-4]: train 0", done.stdout)
    assert sorted(said) == [("1280", "false"), ("390", "false")]
