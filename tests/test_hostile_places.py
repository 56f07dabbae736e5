"""Full, read-only and odd places, and odd names, end in a sentence or just work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostile.places import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_place(toy: Any, tmp_path: Path, kind: str) -> None:
    assert KINDS[kind](tmp_path / "here") == ""
