"""Recipes and typed values that are bombs, no plain values, or ambiguous end in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostile.texts import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_text(toy: Any, tmp_path: Path, kind: str) -> None:
    assert KINDS[kind](tmp_path / "here") == ""
