"""Run folders as a training leaves them, written without training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

DONE = "2026-01-02T10:05:00+00:00"


def fake_run(
    path: str | Path,
    metrics: Mapping[str, float | None] | None = None,
    *,
    recipe: str = "toy/points",
    seed: int = 1,
    started: str = "2026-01-02T10:00:00+00:00",
    finished: bool = True,
    changes: Mapping[str, Any] | None = None,
    rows: Sequence[Mapping[str, float]] = (),
    classes: Sequence[str] = (),
    **environment: Any,
) -> Path:
    """A run.

    Args:
        path: Its folder.
        metrics: Its final metrics.
        recipe: Name of the recipe.
        seed: Its seed, which its data have too.
        started: When it began.
        finished: Whether it came to its end.
        changes: Values of its recipe by dotted keys.
        rows: Of ``metrics.csv``.
        classes: The classes that its bundle names.
        environment: What else ``environment.json`` notes.
    """
    path = Path(path)
    path.mkdir(parents=True)
    target = {"metric": "test/accuracy", "value": 0.9}
    content: dict[str, Any] = {
        "about": {"summary": "made up", "target": target},
        "seed": seed,
        "model": {"name": "toy-net", "hidden": 16},
        "data": {"name": "toy-points", "seed": seed},
        "trainer": {"max_epochs": 2},
    }
    for key, value in (changes or {}).items():
        section, _, name = key.partition(".")
        content[section][name] = value
    (path / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    noted = {"recipe": recipe, "seed": seed, "started": started, "device": "cpu", **environment}
    noted |= {"versions": {"torch": "2.0"}, "fit_seconds": 12.5}
    if finished:
        noted |= {"finished": DONE, "epochs": 2}
        found = {"test/accuracy": 0.95, "val/loss": 0.5} if metrics is None else metrics
        (path / "metrics.json").write_text(json.dumps(found))
    (path / "environment.json").write_text(json.dumps(noted))
    if rows:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        lines = [",".join(str(row.get(name, "")) for name in columns) for row in rows]
        (path / "metrics.csv").write_text("\n".join([",".join(columns), *lines, ""]))
    if classes:
        (path / "bundle").mkdir()
        facts = {"label_names": list(classes), "num_classes": len(classes)}
        (path / "bundle" / "bundle.json").write_text(json.dumps({"facts": facts}))
    return path
