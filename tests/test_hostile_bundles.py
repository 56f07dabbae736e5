"""Every kind of damaged bundle ends in a sentence, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile.bundles import DAMAGES, TOLD, kinds

from zoo.training.train import train

QUIET = {"trainer.max_epochs": 1, "trainer.logger": False, "trainer.enable_progress_bar": False}


@pytest.fixture(scope="module")
def bundle(with_toy: Callable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with with_toy():
        yield train("toy/points", QUIET, out=tmp_path_factory.mktemp("sound") / "run").bundle


ARGUMENTS = [f"finetune: {name}" for name in DAMAGES if name.startswith("argument")]


@pytest.mark.parametrize("kind", [*DAMAGES, *ARGUMENTS, *TOLD])
def test_a_bundle(toy: Any, bundle: Path, tmp_path: Path, kind: str) -> None:
    assert kinds(bundle)[kind](tmp_path / "here") == ""
