"""The commands to continue with after a training, by what its model can do. Imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from zoo.runs.run import Run

_OTHER_DATA = "--data NAME --data.root YOUR-DATA"
_WHICH = "   (zoo list datasets)"


def next_commands(run: Run, environment: Mapping[str, Any] | None = None) -> list[str]:
    """Commands that make sense for a trained model.

    Args:
        run: Its run.
        environment: What the run notes of itself, of which ``abilities`` says what the model can
            do (``produce``, ``predict``, ``finetune``, ``export``); read from its file without.
    """
    noted = run.environment if environment is None else environment
    can = noted.get("abilities") or []
    run_ = shlex.quote(str(run.path))
    if noted.get("untested"):
        return [f"zoo train {shlex.quote(str(run.recipe_file))}"]
    if "produce" in can:
        found, data = [f"zoo predict {run_} --out predictions"], "--data.KEY VALUE"
    elif "predict" in can:
        found = [f"zoo predict {run_} YOUR-FILES --out predictions"]
        data = _OTHER_DATA + _WHICH
    else:
        found, data = [f"zoo test {run_}"], _OTHER_DATA + _WHICH
    if "finetune" in can:
        found.append(f"zoo finetune {run_} {data}")
    if "export" in can:
        found.append(f"zoo export {run_} --format onnx --out model.onnx")
    return found
