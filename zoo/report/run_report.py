"""The page of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from zoo.io.atomic import write_atomically
from zoo.io.bounds import read_json
from zoo.recipes.recipe import Recipe
from zoo.report.markup import Markup, definitions, element, markup, table
from zoo.report.metrics import charts, headline, metrics_tables
from zoo.report.page import FILE, LIMIT, page, section
from zoo.report.pictures import Picture, show_pictures
from zoo.report.recipe_changes import changes, named_recipe
from zoo.runs.history import counters_of_rows, read_history, series
from zoo.runs.next_commands import next_commands
from zoo.runs.run import Run

CAPTIONS = "captions.json"
"""In the folder of plots: what each shows, by file name without suffix."""
_DRAWN_HERE = frozenset({"curves"})
_MOST_PICTURES = 40
_MOST_TEXT = 40_000
_MOST_BYTES = 1 << 20


def write_run_report(run: Run, environment: Mapping[str, Any] | None = None) -> Path:
    """Write ``report.html`` into the folder of a run.

    Args:
        run: A run with ``recipe.yaml`` and what else there is by now.
        environment: What it notes of itself; ``environment.json`` without.

    Returns:
        The file.
    """
    recipe = run.recipe
    environment = run.environment if environment is None else environment
    rows, _ = read_history(run.metrics_csv)
    counts = counters_of_rows(rows)
    x = counts[0].replace("_", " ") if counts else "epoch"
    parts = [
        _heading(run, recipe, environment),
        section("Metrics", metrics_tables(run.metrics)),
        section("Curves", charts(series(rows, counts), x, recipe.about)),
    ]
    after = [
        section("Recipe", _recipe(recipe, environment)),
        section("Environment", _environment(recipe, environment)),
        section("Continue", commands(next_commands(run, environment))),
        element("footer", f"Written by zoo {_version(environment)} from the files of this run."),
    ]
    taken = len(page(recipe.name, [*parts, *after]).encode())
    parts.append(section("Plots", show_pictures(plots_of(run), LIMIT - taken - 2_000)))
    path = run.path / FILE
    write_atomically(path, page(recipe.name, [*parts, *after]).encode())
    return path


def plots_of(run: Run) -> list[Picture]:
    """The plots of a run but its curves, with what they show, in the order of their captions."""
    captions = _captions(run.plots / CAPTIONS)
    files = {path.stem: path for path in sorted(run.plots.glob("*.png"))}
    order = [name for name in captions if name in files]
    order += [name for name in files if name not in captions]
    return [
        Picture(files[name], name.replace("_", " "), captions.get(name, ""))
        for name in order
        if name not in _DRAWN_HERE
    ][:_MOST_PICTURES]


def _captions(path: Path) -> dict[str, str]:
    try:
        content = read_json(path, _MOST_BYTES)
    except (FileNotFoundError, ValueError):  # a run before there were any, or one edited by hand
        return {}
    return {str(k): str(v) for k, v in content.items()} if isinstance(content, dict) else {}


def commands(lines: list[str]) -> Markup:
    """Commands to copy."""
    return element("pre", "\n".join(lines)) if lines else Markup("")


def duration(seconds: object) -> str:
    """As ``1:02:03``, of less than two minutes as ``95.3 s``; empty if it is not known."""
    if not isinstance(seconds, int | float):
        return ""
    return f"{seconds:.1f} s" if seconds < 120 else str(timedelta(seconds=round(seconds)))


def _heading(run: Run, recipe: Recipe, environment: Mapping[str, Any]) -> Markup:
    finished = environment.get("finished")
    state = f"finished {_moment(finished)}" if finished else "not finished"
    best = ""
    if "best_epoch" in environment:
        best = f"epoch {environment['best_epoch']}, chosen by {environment.get('monitor')}"
    facts: dict[str, str | Markup] = {
        "Data": _listed(environment.get("found")),
        "Model": _model(recipe, environment),
        "Trained": f"{duration(environment.get('fit_seconds'))} on {environment.get('device')}, "
        f"epochs: {environment.get('epochs')}",
        "Ended": _listed(environment.get("stop_reasons")),
        "Weights kept": best,
        "Started from": _origin(environment.get("origin")),
        "Publication": str(recipe.about.get("paper", "")),
    }
    return element(
        "header",
        [
            element("p", f"{run.path}, {state}", class_="soft"),
            element("h1", recipe.name),
            element("p", str(recipe.about.get("summary", ""))),
            headline(recipe.about, run.metrics),
            definitions(facts),
        ],
    )


def _model(recipe: Recipe, environment: Mapping[str, Any]) -> str:
    count = environment.get("parameters")
    return recipe.model_name + (f", {count:,} parameters" if isinstance(count, int) else "")


def _origin(origin: object) -> str:
    return str(origin.get("reference", "")) if isinstance(origin, Mapping) else ""


def _moment(text: object) -> str:
    return str(text).replace("T", " ").replace("+00:00", " UTC")


def _listed(found: object) -> str:
    return ", ".join(map(str, found)) if isinstance(found, list) else ""


def _recipe(recipe: Recipe, environment: Mapping[str, Any]) -> Markup:
    named = named_recipe(recipe.name)
    overridden = environment.get("overridden")
    overridden = [str(key) for key in overridden] if isinstance(overridden, list) else []
    if named is None:
        said = element("p", "No registered recipe has this name: all of it is this run's own.")
    elif found := changes(named, recipe, overridden):
        said = markup(
            [
                element("p", f"Otherwise than the registered recipe {recipe.name}:"),
                table(
                    ("key", "registered", "here"),
                    [(element("code", key), *map(_cut, values)) for key, values in found.items()],
                ),
            ]
        )
    else:
        said = element("p", f"As the registered recipe {recipe.name}, in every key.")
    whole = recipe.to_yaml()
    if len(whole) > _MOST_TEXT:
        whole = whole[:_MOST_TEXT] + "\n... the rest is in recipe.yaml"
    inside = [element("summary", "The whole recipe"), element("pre", whole)]
    return markup([said, element("details", inside)])


def _cut(text: str) -> str:
    return text if len(text) <= 300 else text[:300] + "…"


def _environment(recipe: Recipe, environment: Mapping[str, Any]) -> Markup:
    hardware = environment.get("hardware")
    hardware = hardware if isinstance(hardware, Mapping) else {}
    versions = environment.get("versions")
    versions = versions if isinstance(versions, Mapping) else {}
    gpus = hardware.get("gpus") or []
    shown: dict[str, str | Markup] = {
        "Command": element("code", str(environment.get("command", ""))),
        "Started": _moment(environment.get("started", "")),
        "Finished": _moment(environment.get("finished", "")),
        "Training time": duration(environment.get("fit_seconds")),
        "Seed": str(recipe.seed),
        "Device": f"{environment.get('device', '')}, precision {environment.get('precision', '')}",
        "Processor": f"{hardware.get('cpu', '')}, {hardware.get('cores', '')} cores, "
        f"threads of torch: {environment.get('torch_threads', '')}",
        "GPUs": ", ".join(map(str, gpus)) if isinstance(gpus, list) else "",
        "Platform": str(hardware.get("platform", "")),
        "Revision": str(environment.get("git") or ""),
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    return definitions(shown)


def _version(environment: Mapping[str, Any]) -> str:
    versions = environment.get("versions")
    return str(versions.get("zoo", "")) if isinstance(versions, Mapping) else ""
