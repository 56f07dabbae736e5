"""The tutorials: notebooks that are executed, and the pages of them.

    python docs/notebooks.py    # execute all, and keep what they show

They hold what they showed when they were last executed, so that a build of the documentation
executes nothing. Warnings, which are about the machine, are not kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

TUTORIALS = Path(__file__).parent / "tutorials"
SECONDS = 600
"""At most for a cell, on a busy machine."""


def notebooks() -> list[Path]:
    """The files of all tutorials."""
    return sorted(TUTORIALS.glob("*.ipynb"))


def execute(path: Path, folder: Path) -> Any:
    """The notebook as executed in a folder.

    Raises:
        CellExecutionError: a cell failed.
    """
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata = {}  # when it was executed
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if "Warning" not in each.get("text", "")]
    return notebook


def page(path: Path) -> str:
    """A notebook as a page: its text, its code, and what it showed."""
    notebook = nbformat.read(path, as_version=4)
    parts = [
        part
        for cell in notebook.cells
        for part in ([cell.source] if cell.cell_type == "markdown" else _code(cell))
    ]
    return "\n\n".join([*parts, f"[This page as a notebook]({path.name})", ""])


def _code(cell: Any) -> Iterator[str]:
    yield f"```python\n{cell.source}\n```"
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            picture = "".join(data["image/png"].split())
            yield f"![What the cell shows](data:image/png;base64,{picture})"
        elif text := output.get("text") or data.get("text/plain"):
            yield f"```text\n{text.rstrip()}\n```"


def main() -> None:
    for path in notebooks():
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(execute(path, Path(folder)), path)
        print(path.name)


if __name__ == "__main__":
    main()
