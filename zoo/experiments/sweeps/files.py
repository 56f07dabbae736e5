"""What a sweep leaves in its folder: the table of its trials, the best as a recipe, plots."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from zoo.experiments.sweeps.metric import Objective
from zoo.experiments.sweeps.space import Parameter
from zoo.experiments.sweeps.trials import REASON, SECONDS, trial_name
from zoo.io.atomic import write_atomically
from zoo.io.failures import one_line
from zoo.io.plain_json import to_json
from zoo.io.rank_zero import rank_zero_print
from zoo.recipes.experiment import Experiment, resolve
from zoo.recipes.recipe import Recipe, override
from zoo.report.group_report import write_group_report
from zoo.runs.group import Group, open_group

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
_COLUMNS = ("trial", "state", "value", "validations")


def rows_of(trials: Sequence[FrozenTrial], space: Mapping[str, Parameter]) -> list[dict[str, Any]]:
    """A row a trial: its number, state, value and validations, what it set under ``values``, and
    the seconds of its training, its run and why it failed."""
    return [
        {
            "trial": each.number,
            "state": STATES[each.state],
            "value": each.value,
            "validations": len(each.intermediate_values),
            "values": {k: space[k].read(v) for k, v in each.params.items() if k in space},
            "seconds": each.user_attrs.get(SECONDS),
            "run": trial_name(each.number),
            "reason": each.user_attrs.get(REASON, ""),
        }
        for each in trials
    ]


def best_of(rows: Sequence[Mapping[str, Any]], objective: Objective) -> Mapping[str, Any] | None:
    """The row of the best trial of those trained to their end, the first of equals; None if there
    is none."""
    ended = [row for row in rows if row["state"] == "complete"]
    sign = 1 if objective.direction == "minimize" else -1
    return min(ended, key=lambda row: sign * row["value"], default=None)


def write_files(
    group: Group,
    recipe: Recipe,
    space: Mapping[str, Parameter],
    objective: Objective,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Write ``group.json``, ``summary.csv``, ``summary.json`` and ``best.yaml``.

    Args:
        group: The sweep's folder.
        recipe: What was asked for, of which the best is a variant.
        space: What is varied.
        objective: What it is judged by.
        rows: As of ``rows_of``.
    """
    members = {row["run"]: row["values"] for row in rows}
    replace(group, members=members).write()
    write_atomically(group.path / "summary.csv", _csv(rows, list(space)).encode())
    best = best_of(rows, objective)
    summary = {
        "recipe": group.recipe,
        "metric": objective.metric,
        "direction": objective.direction,
        "best": best,
        "trials": rows,
    }
    write_atomically(group.path / "summary.json", (to_json(summary) + "\n").encode())
    if best:
        text = best_recipe(recipe, best, objective, len(rows)).to_yaml()
        write_atomically(group.path / "best.yaml", text.encode())


def write_page(group: Group, rows: Sequence[Mapping[str, Any]], objective: Objective) -> None:
    """Write ``report.html``, once the other files are there.

    Args:
        group: The sweep's folder.
        rows: As of ``rows_of``.
        objective: What it is judged by.
    """
    notes = [f"Judged by {objective.metric}, {objective.direction}d; the test part is not read."]
    if best := best_of(rows, objective):
        notes.append(
            f"The best of {len(rows)} trials is trial {best['trial']} with {best['value']:.6g}; "
            "best.yaml is its recipe."
        )
    write_group_report(open_group(group.path), tuple(notes))


def best_recipe(
    recipe: Recipe, best: Mapping[str, Any], objective: Objective, count: int
) -> Recipe:
    """The recipe with the values of the best trial, each of its argument's type."""
    chosen = override(recipe, best["values"])
    typed: Experiment = resolve(chosen)
    found = f"trial {best['trial']} of {count}: {objective.metric} {best['value']:.6g}"
    return replace(
        chosen,
        about={**recipe.about, "sweep": found},
        model={k: v for k, v in typed.recipe.model.items() if k in chosen.model},
        data={k: v for k, v in typed.recipe.data.items() if k in chosen.data},
        trainer={k: v for k, v in typed.recipe.trainer.items() if k in chosen.trainer},
    )


def _csv(rows: Sequence[Mapping[str, Any]], keys: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *keys])
    for row in rows:
        writer.writerow(
            [*(row[name] for name in _COLUMNS), *(row["values"].get(key) for key in keys)]
        )
    return text.getvalue()


def draw_plots(study: Study, metric: str, folder: Path) -> None:
    """Optuna's own plots, as far as they can be drawn from these trials.

    Args:
        study: The trials.
        metric: The name of their value.
        folder: Where.
    """
    import matplotlib

    previous = matplotlib.get_backend()
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as drawing

    plots: dict[str, Callable[[], Any]] = {
        "history": lambda: drawing.plot_optimization_history(study, target_name=metric),
        "parallel_coordinate": lambda: drawing.plot_parallel_coordinate(study, target_name=metric),
        "importances": lambda: drawing.plot_param_importances(study, target_name=metric),
        "slice": lambda: drawing.plot_slice(study, target_name=metric),
        "intermediate_values": lambda: drawing.plot_intermediate_values(study),
    }
    folder.mkdir(exist_ok=True)
    others = set(pyplot.get_fignums())  # the caller's own
    pyplot.switch_backend("Agg")
    try:
        for name, draw in plots.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    figure = _figure(draw())
                    figure.savefig(folder / f"{name}.png", dpi=120, bbox_inches="tight")
                except (RuntimeError, ValueError) as error:  # too few trials, or all equal
                    rank_zero_print(f"the plot {name} is not drawn: {one_line(error)}")
                for number in set(pyplot.get_fignums()) - others:
                    pyplot.close(number)
    finally:
        pyplot.switch_backend(previous)


def _figure(axes: Any) -> Any:
    """The figure of one or several axes, wide enough for the names of what is varied."""
    first = axes.flat[0] if hasattr(axes, "flat") else axes
    figure = first.figure
    figure.set_size_inches(max(8.0, figure.get_size_inches()[0]), 5.0)
    return figure
