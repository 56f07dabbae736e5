"""The gallery and a page for every model, from the registry, the recipes and their records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diagrams import diagram

from zoo.bundles.manifest import read_manifest
from zoo.plugin.entries import Model
from zoo.plugin.protocols import Player, Predictor, Producer, offers
from zoo.recipes.recipe import Recipe
from zoo.recipes.records import records_of
from zoo.recipes.signatures import constructor_arguments
from zoo.registry.registry import package_folder, registry
from zoo.runs.target import read_target

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
TEXTS = HERE / "models"
ASIDE = "## When to take something else"
FILES = {
    "image-classification": "photos",
    "image-segmentation": "scans",
    "video-classification": "clips",
    "automatic-speech-recognition": "clips",
    "reinforcement-learning": "--episodes 5",
}
DATA = {
    "vision": "image-folder --data.root photos",
    "segmentation": "volume-folder --data.root volumes",
    "lipreading": "grid --data.root clips",
    "udrl": "udrl-episodes --data.environment package.module:Name-v0",
    "hpg": "",
    "sequence": "wave-folder --data.root recordings",
    "fastweights": "text-folder --data.root texts",
    "evolution": "black-box-function --data.function my_file.py:score",
    "worldmodels": "",
}


def gallery(recipes: dict[str, Recipe]) -> str:
    """A card for each model: a picture, what it reached, and a command."""
    lines = [
        "# Gallery",
        "",
        "Every registered model. The figure is one that was measured here; the page of the model "
        "says with how many seeds, on what, and by which command.",
        "",
        '<div class="gallery" markdown>',
    ]
    for entry in registry().models.values():
        own = {name: recipe for name, recipe in recipes.items() if uses(recipe, entry)}
        name = slug(entry.name)
        picture = _picture(name)
        shown = (
            f"[![{entry.name} at work](../pictures/{picture}){{ loading=lazy }}]({name}.md)"
            if picture
            else diagram(name, f"The idea of {entry.name}")
        )
        lines += [
            '<div markdown="1">',
            "",
            f"### [{_title(entry)}]({name}.md)",
            "",
            shown,
            "",
            f"{entry.summary}.",
            "",
            _figure(own),
            "",
            "```sh",
            _command(entry, own),
            "```",
            "",
            "</div>",
        ]
    return "\n".join([*lines, "", "</div>", ""])


def model_page(entry: Model, recipes: dict[str, Recipe]) -> str:
    """The idea, the arguments, the cost, recipes and checkpoints of one model."""
    owner = registry().owner(entry)
    name = slug(entry.name)
    own = {key: recipe for key, recipe in recipes.items() if uses(recipe, entry)}
    text = TEXTS / f"{name}.md"
    idea, _, aside = (text.read_text(encoding="utf-8") if text.is_file() else "").partition(ASIDE)
    lines = [f"# {_title(entry)}", "", f"{entry.summary}.", "", idea.strip(), ""]
    lines += [diagram(name, f"The idea of {entry.name}"), ""]
    lines += [
        f"- **Paper:** {entry.paper}" if entry.paper else "- No paper",
        f"- **Plugin:** `{owner.distribution}` {owner.version}",
        *_cost(entry),
        "",
    ]
    if picture := _picture(name):
        lines += [f"![{entry.name} at work](../pictures/{picture})", ""]
    if aside:
        lines += [ASIDE, "", aside.strip(), ""]
    trained = _checkpoints(entry)
    lines += [*_use(entry, own, [key for key, _ in trained]), *_recipes(own)]
    if trained:
        lines += [
            "",
            "## Checkpoints",
            "",
            "| name | size | metrics | made by |",
            "|---|---|---|---|",
        ]
        lines += [row for _, row in trained]
    return "\n".join([*lines, "", *_arguments(entry), ""])


def uses(recipe: Recipe, entry: Model) -> bool:
    """Whether a recipe trains that model, or one of that family."""
    return registry().model(recipe.model_name).entry == entry


def slug(name: str) -> str:
    """A model's name as the name of a file."""
    return name.replace("/", "-").replace("*", "any")


def _title(entry: Model) -> str:
    return entry.name.replace("*", "\\*")


def _picture(name: str) -> str:
    return f"{name}.png" if (PICTURES / f"{name}.png").is_file() else ""


def _measured(name: str, recipe: Recipe) -> list[str]:
    target = read_target(recipe.about)
    return [
        f"`{record.metric}` {record.described}"
        for record in records_of(name, registry().recipes[name])
        if target is None or record.metric == target.metric
    ]


def _figure(recipes: dict[str, Recipe]) -> str:
    """What the first recipe that was measured reached."""
    for name in _first_measured(recipes):
        if found := _measured(name, recipes[name]):
            return f"**{found[-1]}** by `{name}`"
    return "Not measured here."


def _first_measured(recipes: dict[str, Recipe]) -> list[str]:
    """The recipes' names: those with a target that was met, the measured, the others."""

    def rank(name: str) -> int:
        target = read_target(recipes[name].about)
        records = records_of(name, registry().recipes[name])
        same = [each for each in records if target and each.metric == target.metric]
        if target and any(target.met(each.mean) for each in same):
            return 0
        return 1 if records else 2

    return sorted(recipes, key=rank)


def _command(entry: Model, recipes: dict[str, Recipe]) -> str:
    first = next(iter(_first_measured(recipes)), "")
    return f"zoo train {first}" if first else f"zoo info {entry.name}"


def _cost(entry: Model) -> list[str]:
    known = json.loads((TEXTS / "costs.json").read_text(encoding="utf-8"))
    cost: dict[str, Any] | None = known.get(entry.name)
    if cost is None or cost["flops"] is None:
        return ["- **Cost:** depends on the arguments; `zoo info RECIPE --cost` measures it"]
    return [
        f"- **Cost** of `{cost['of']}`: {cost['trainable'] + cost['frozen']:,} parameters; "
        f"{cost['flops'] / 1e6:,.4g} million operations and {cost['memory'] / 1e6:,.3g} MB for one "
        f"pass over an input of {cost['example_input']} (batch first; `zoo info RECIPE --cost` "
        "measures it for other arguments)"
    ]


def _use(entry: Model, recipes: dict[str, Recipe], trained: list[str]) -> list[str]:
    """The commands and the lines of Python to start with."""
    reference = trained[0] if trained else "RUN"
    family = next(iter(recipes), "/").partition("/")[0]
    cls = registry().load(entry)
    reads = offers(cls, Predictor)
    predicts = reads or offers(cls, Producer) or offers(cls, Player)
    files = FILES.get(entry.task, "FILES") if reads or entry.task in FILES else ""
    lines = ["## Use", "", "```sh", f"{_command(entry, recipes)} --out runs/mine"]
    if predicts:
        lines.append(
            " ".join(["zoo predict", reference, *filter(None, [files]), "--out predictions"])
        )
    if (data := DATA.get(family)) and getattr(cls, "head", ()):
        lines.append(f"zoo finetune {reference} --data {data} --out runs/finetuned")
    lines += ["```", ""]
    if trained and predicts:
        plays = entry.task == "reinforcement-learning"
        asked = 'options={"episodes": 5}' if plays or not files else f'["{files}"]'
        lines += ["```python", "import zoo", "", f'model = zoo.load("{reference}")']
        lines += [f"rows = zoo.predict(model, {asked}).rows", "```", ""]
    return lines


def _recipes(recipes: dict[str, Recipe]) -> list[str]:
    lines = ["## Recipes", "", "| recipe | data | to reach | measured |", "|---|---|---|---|"]
    for name, recipe in recipes.items():
        target = read_target(recipe.about)
        sign = "at most" if target and target.mode == "min" else "at least"
        goal = f"`{target.metric}` {sign} {target.value:g}" if target else "none"
        shown = "; ".join(_measured(name, recipe)) or "not yet"
        link = f"[`{name}`](../reproduction.md#{name.replace('/', '')})"
        lines.append(f"| {link} | `{recipe.data_name}` | {goal} | {shown} |")
    return lines if recipes else ["## Recipes", "", "None yet."]


def _checkpoints(entry: Model) -> list[tuple[str, str]]:
    """Name and row of each registered checkpoint of a model that is in a package."""
    rows = []
    for checkpoint in registry().checkpoints.values():
        folder = None if "://" in checkpoint.location else package_folder(checkpoint.location)
        if folder is None:
            continue
        content = read_manifest(folder)
        if registry().model(content["model"]["name"]).entry != entry:
            continue
        tests = ", ".join(
            f"`{key}` {value:.4g}"
            for key, value in content["metrics"]["values"].items()
            if key.startswith("test/")
        )
        size = content["files"]["model.safetensors"]["size"] / 1e6
        command = content["metrics"]["command"]
        row = f"| `{checkpoint.name}` | {size:.2f} MB | {tests} | `{command}` |"
        rows.append((checkpoint.name, row))
    return rows


def _arguments(entry: Model) -> list[str]:
    """The constructor's arguments, from its signature and docstring."""
    found = constructor_arguments(
        registry().load(entry), [entry.wildcard] if entry.wildcard else []
    )
    lines = [
        "## Arguments",
        "",
        "Of the constructor, and in a recipe or after `--model.`:",
        "",
        "| name | type | default | what |",
        "|---|---|---|---|",
    ]
    for each in found:
        kind = f"`{each.type}`" if each.type else ""
        text = each.text.replace("``", "`")
        lines.append(
            f"| `{each.name}` | {kind} | `{each.default or '(required)'}` | {_cell(text)} |"
        )
    return lines


def _cell(text: str) -> str:
    """Text for a cell of a table: what stands between backticks is code, as it is."""
    parts = text.split("`")
    parts[::2] = [part.replace("|", "\\|").replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)
