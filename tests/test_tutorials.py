"""The notebooks of the documentation run from the first cell to the last, and have their pages."""

from __future__ import annotations

from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NAMES = ("first-model", "own-images", "own-volumes")


@pytest.fixture(autouse=True)
def docs_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    pytest.importorskip("nbformat")


@pytest.mark.slow
@pytest.mark.whole_zoo
@pytest.mark.parametrize("name", NAMES)
def test_a_tutorial_runs(name: str, tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    from notebooks import TUTORIALS, execute

    notebook = execute(TUTORIALS / f"{name}.ipynb", tmp_path)
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in shown if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in shown)


def test_every_tutorial_has_its_page_with_what_it_showed() -> None:
    from notebooks import notebooks, page

    assert tuple(path.stem for path in notebooks()) == NAMES
    navigation = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    for path in notebooks():
        text = page(path)
        assert f"tutorials/{path.stem}.md" in navigation
        assert text.startswith("# ")
        assert "```python\nimport" in text or "```python\nfrom" in text
        assert "data:image/png;base64," in text
