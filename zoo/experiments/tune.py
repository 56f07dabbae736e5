"""``zoo.tune``: a learning rate and a batch size to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from zoo import plots
from zoo.errors import UsageError
from zoo.experiments.built import Asked, ask, build
from zoo.experiments.tuning import RateCurve, SizeCurve, find_rate, find_size
from zoo.io.atomic import write_atomically
from zoo.io.plain_json import to_json
from zoo.recipes.recipe import Recipe
from zoo.recipes.signatures import argument_names
from zoo.registry.registry import registry
from zoo.runs.run import RUNS, require_empty, timed_folder
from zoo.training.train import initialize

if TYPE_CHECKING:
    from zoo.recipes.experiment import Experiment

_RATES = ("lr", "learning_rate")


@dataclass(frozen=True)
class Tuning:
    """What was found, of which nothing is set.

    Attributes:
        path: A folder with ``tune.json`` and pictures.
        recipe: Name of the recipe.
        overrides: The suggestion: ``{"model.lr": 0.003}``; empty where nothing can be said.
        before: What the recipe has in their place.
        rate: The learning rates that were tried; None if none was asked for.
        size: The batch sizes.
    """

    path: Path
    recipe: str
    overrides: dict[str, Any]
    before: dict[str, Any]
    rate: RateCurve | None
    size: SizeCurve | None


def tune(
    recipe: str | Path | Recipe | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    lr: bool = False,
    batch_size: bool = False,
    out: str | Path | None = None,
    trust: bool = False,
) -> Tuning:
    """Look for a learning rate, a batch size, or both, with Lightning's finders.

    The learning rate is where the loss falls most steeply while the rate rises over a hundred
    batches. The batch size is the smallest that trains within a twentieth of the fastest, of those
    that fit into memory. With both, the rate is looked for with that batch size. Nothing is set:
    the result is overrides for ``zoo.train``. Neither validation nor test part is read.

    Args:
        recipe: As for ``zoo.train``.
        overrides: As there.
        lr: Look for the learning rate; so too where neither is asked for.
        batch_size: Look for the batch size.
        out: A new folder for the pictures; ``runs/tune/<recipe>/<time>`` by default.
        trust: As for ``zoo.train``.

    Returns:
        What was found.

    Raises:
        UsageError: recipe or data are wrong, or the learner has no learning rate, no batch size, or
            no gradients; nothing was written.
    """
    if out is not None:
        require_empty(out, resumable=False)
    lr = lr or not batch_size
    asked = ask(recipe, overrides, trust)
    keys = _rate_key(asked) if lr else "", _size_key(asked) if batch_size else ""
    size = _look(asked, find_size) if batch_size else None
    found: dict[str, Any] = {keys[1]: size.suggestion} if size else {}
    rate = _look(ask(asked.base, {**asked.overrides, **found}, trust), find_rate) if lr else None
    if rate and rate.suggestion is not None:
        found[keys[0]] = float(f"{rate.suggestion:.2g}")
    before = {key: _value(asked.experiment, key) for key in keys if key}
    folder = Path(out) if out is not None else timed_folder(RUNS / "tune" / asked.recipe.name)
    result = Tuning(folder, asked.recipe.name, found, before, rate, size)
    _write(result)
    return result


def _look(asked: Asked, find: Any) -> Any:
    experiment, model, data = build(asked)
    if not model.automatic_optimization:
        raise UsageError(
            f"the model {experiment.recipe.model_name!r} makes its steps itself (its optimization "
            "is not automatic), which Lightning's finders do not take: search with `zoo sweep`"
        )
    callbacks, _ = initialize(model, experiment.recipe, None)
    return find(experiment.recipe, model, data, callbacks)


def _rate_key(asked: Asked) -> str:
    found = asked.experiment.model
    names = argument_names(registry().load(found.entry), found.arguments)
    for name in _RATES:
        if name in names:
            return f"model.{name}"
    raise UsageError(
        f"the model {found.name!r} has no learning rate: it has no argument {' or '.join(_RATES)}"
    )


def _size_key(asked: Asked) -> str:
    dataset = asked.experiment.dataset
    if "batch_size" in argument_names(registry().load(dataset)):
        return "data.batch_size"
    raise UsageError(f"the data {dataset.name!r} have no batch size: no argument batch_size")


def _value(experiment: Experiment, key: str) -> Any:
    section, _, name = key.partition(".")
    given: Mapping[str, Any] = getattr(experiment.with_facts({}).recipe, section)
    return given.get(name)


def _write(found: Tuning) -> None:
    content = {
        "recipe": found.recipe,
        "overrides": found.overrides,
        "before": found.before,
        "learning_rate": asdict(found.rate) if found.rate else None,
        "batch_size": asdict(found.size) if found.size else None,
    }
    write_atomically(found.path / "tune.json", (to_json(content) + "\n").encode())
    if found.rate:
        plots.save(draw_rates(found.rate), found.path / "plots" / "learning_rate.png")
    if found.size:
        plots.save(draw_sizes(found.size), found.path / "plots" / "batch_size.png")


def draw_rates(curve: RateCurve) -> Figure:
    """The loss over the learning rate, and the suggestion."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(
        xscale="log", xlabel="learning rate", ylabel="loss, smoothed", title="loss while it rises"
    )
    axes.plot(curve.rates, curve.losses)
    if curve.suggestion is not None:
        index = curve.rates.index(curve.suggestion)
        axes.plot(
            curve.suggestion,
            curve.losses[index],
            "o",
            color="C3",
            label=f"steepest: {curve.suggestion:.2g}",
        )
        axes.legend()
    axes.grid(alpha=0.3)
    return figure


def draw_sizes(curve: SizeCurve) -> Figure:
    """The speed over the batch size, and the suggestion."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(
        xlabel="samples in a batch", ylabel="samples a second", title="speed of training"
    )
    axes.set_xscale("log", base=2)
    axes.plot(curve.sizes, curve.speeds, "o-")
    index = curve.sizes.index(curve.suggestion)
    axes.plot(
        curve.suggestion,
        curve.speeds[index],
        "o",
        color="C3",
        label=f"suggested: {curve.suggestion}",
    )
    axes.set_ylim(bottom=0)
    axes.legend()
    axes.grid(alpha=0.3)
    return figure
