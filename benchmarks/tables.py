"""The tables of README.md and docs/reproduction.md, made from recipes and their records.

    python benchmarks/tables.py            # write them
    python benchmarks/tables.py --check    # fail where one differs from the records

Records are the files records.jsonl beside the recipes; ``make reproduce RECIPE=...`` adds to them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from zoo.recipes.recipe import Recipe, read_recipe
from zoo.recipes.records import Record, records_of
from zoo.registry.registry import registry
from zoo.runs.target import read_target

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- made by benchmarks/tables.py -->", "<!-- until here -->"
HEADLINES = (
    "vision/mpcnn-digits",
    "vision/mpcnn-mnist",
    "vision/mpcnn-gtsrb",
    "segmentation/pyramid-lstm-hippocampus",
    "segmentation/pyramid-lstm-isbi2012",
    "lipreading/lipreader-avletters",
    "lipreading/lipreader-avletters-adversarial",
    "udrl/cartpole",
    "udrl/lunarlander",
    "hpg/bitflip8",
    "hpg/four-rooms",
    "sequence/adding-100",
    "sequence/spoken-digits",
    "sequence/jsb",
    "fastweights/retrieval-elu-40",
    "fastweights/retrieval-delta-40",
    "fastweights/shakespeare",
)
"""What the README shows; every recipe stands in docs/reproduction.md."""
PAGE = """# Reproduction

What every recipe is to reach, what the papers report, and what was measured. The page is made from
the recipes and from the records beside them (`records.jsonl`), which are added to and never
changed; a test fails where it differs from them. A target was written down on the day that stands
beside it; one that was changed later says from what and why. "Unverified" marks figures of papers
that are remembered and could not be looked up.

To measure a row again and add what came out: `make reproduce RECIPE=vision/mpcnn-digits SEEDS=1-3`.
"""


def main() -> int:
    """Write the tables, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    options = parser.parse_args()
    stale = []
    for path, text in tables().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.relative_to(ROOT).as_posix())
        if not options.check:
            path.write_text(text, encoding="utf-8")
    if stale and options.check:
        print(f"{', '.join(stale)}: run python benchmarks/tables.py", file=sys.stderr)
        return 1
    return 0


def tables() -> dict[Path, str]:
    """Each file with the text that it is to have."""
    entries = {
        name: (read_recipe(path), records_of(name, path))
        for name, path in registry().recipes.items()
        if path.is_relative_to(ROOT / "plugins")
    }
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    short = _headlines(entries)
    return {
        readme: f"{before}{BEGIN}\n{short}\n{END}{after}",
        ROOT / "docs/reproduction.md": _page(entries),
    }


Entries = dict[str, tuple[Recipe, list[Record]]]


def _headlines(entries: Entries) -> str:
    lines = ["| recipe | what | target | measured |", "|---|---|---|---|"]
    for name in HEADLINES:
        recipe, records = entries[name]
        about = recipe.about
        shown = (_of_target(recipe, records) or records)[-1:]  # the latest
        measured = "".join(f"`{each.metric}` {each.described}" for each in shown) or "not measured"
        lines.append(f"| `{name}` | {about.get('summary', '')} | {_target(about)} | {measured} |")
    return "\n".join(lines)


def _page(entries: Entries) -> str:
    parts = [PAGE]
    for family in dict.fromkeys(name.partition("/")[0] for name in entries):
        parts.append(f"## {family}\n")
        for name, (recipe, records) in entries.items():
            if name.startswith(f"{family}/"):
                parts.append(_section(name, recipe, records))
    return "\n".join(parts)


def _section(name: str, recipe: Recipe, records: list[Record]) -> str:
    about = recipe.about
    lines = [f"### {name}", "", f"{about.get('summary', '')}.", ""]
    target, source = _target(about), about.get("source", "")
    lines.append(f"- Target: {target}" + (f"; {source}" if source else ""))
    if changed := about.get("changed"):
        lines.append(f"- The target was changed: {changed}")
    if differs := about.get("differs"):
        lines.append(f"- What differs from the paper: {differs}")
    if reported := about.get("paper_result"):
        lines.append(f"- The paper reports: {reported}")
    if paper := about.get("paper"):
        lines.append(f"- Paper: {paper}")
    if not records:
        lines.append("- Not measured")
        return "\n".join([*lines, ""])
    lines += ["", "| metric | measured | target | training time | on | command |"]
    lines.append("|---|---|---|---|---|---|")
    for record in records:
        seeds = ", ".join(f"{value:.4g}" for value in record.values.values())
        shown = record.described + (f": {seeds}" if len(record.values) > 1 else "")
        cells = [
            f"`{record.metric}`",
            shown + (f"; {record.note}" if record.note else ""),
            _verdict(recipe, record),
            _seconds(record),
            _machine(record),
            f"`{record.command}`",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _target(about: Any) -> str:
    found = read_target(about)
    if found is None:
        return "none"
    sign = "at most" if found.mode == "min" else "at least"
    day = about["target"].get("set")
    return f"`{found.metric}` {sign} {found.value:g}" + (f" (set {day})" if day else "")


def _of_target(recipe: Recipe, records: list[Record]) -> list[Record]:
    """The records of the target's metric, of those with most seeds."""
    target = read_target(recipe.about)
    same = [record for record in records if target and record.metric == target.metric]
    most = max((len(record.values) for record in same), default=0)
    return [record for record in same if len(record.values) == most]


def _verdict(recipe: Recipe, record: Record) -> str:
    target = read_target(recipe.about)
    if target is None or target.metric != record.metric:
        return ""
    return "met" if target.met(record.mean) else "missed"


def _seconds(record: Record) -> str:
    if not record.seconds:
        return ""
    numbers = list(record.seconds.values())
    low, high = min(numbers), max(numbers)
    same = round(low) == round(high)
    return f"{high:.0f} s" if same else f"{low:.0f} to {high:.0f} s a seed"


def _machine(record: Record) -> str:
    threads = f", {record.threads} thread{'s' * (record.threads != 1)}" if record.threads else ""
    torch = f", torch {record.versions['torch']}" if "torch" in record.versions else ""
    return f"{record.hardware}{threads}{torch}; {record.date}"


if __name__ == "__main__":
    raise SystemExit(main())
