"""The whole retrieval table of 2021, beside the authors' logs: settings 1 and 2 up to 200 keys.

    python benchmarks/fastweights_retrieval.py                # what is missing of the table
    python benchmarks/fastweights_retrieval.py --keys 20,40   # of these sizes alone
    python benchmarks/fastweights_retrieval.py --show         # write the table again

Every cell is trained by the authors' protocol: Adam, 0.001, batches of 32, an evaluation every 100
steps, the end at a loss of 0.001, after 11 evaluations without a new best, or at 100,000 steps. A
finished cell is added to results/fastweights-retrieval.csv at once and not trained again; the table
is results/fastweights-retrieval.md and its picture docs/pictures/fastweights-retrieval.png. Small
cells come first: those of 20 and 40 keys take minutes on a core, the whole takes many hours.

Setting 1: sums, each key once. Setting 2: keys with replacement. The logs' best losses are in
results/fastweights-retrieval-logs.csv, read from the repository ischlag/fast-weight-transformers.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from machine import describe, today
from matplotlib.figure import Figure

from zoo_fastweights.data.retrieval import Retrieval
from zoo_fastweights.retrieval_net import SOLVED, RetrievalNet

RESULTS = Path(__file__).parent / "results"
LOGS, FOUND = RESULTS / "fastweights-retrieval-logs.csv", RESULTS / "fastweights-retrieval.csv"
TABLE = RESULTS / "fastweights-retrieval.md"
PICTURE = RESULTS.parents[1] / "docs/pictures/fastweights-retrieval.png"
HEADER = ["setting", "rule", "features", "keys", "best_loss", "best_step", "last_step", "seconds"]
EVERY, PATIENCE, LIMIT, BATCH = 100, 11, 100_000, 32


class Cell(NamedTuple):
    """A net and a problem; the fields of a row of the logs."""

    setting: int
    rule: str
    features: str
    keys: int

    def build(self) -> tuple[RetrievalNet, Retrieval]:
        """The net and its data."""
        kind = self.features.rstrip("0123456789")
        number = int(self.features.removeprefix(kind) or 1)
        options = {
            "elu": {"features": "elu1"},
            "dpfp": {"features": "dpfp", "nu": number},
            "random": {"features": "random", "random_features": number, "redraw": True},
            "none": {},
        }[kind]
        net = RetrievalNet(self.keys, rule=self.rule, **options)  # type: ignore[arg-type]
        return net, Retrieval(self.keys, self.setting == 2, batch_size=BATCH, seed=1)


def cells() -> dict[Cell, list[str]]:
    """Those of the logs, and what the logs say."""
    with LOGS.open(encoding="utf-8") as file:
        return {_cell(row): row[4:] for row in list(csv.reader(file))[1:]}


def found() -> dict[Cell, list[str]]:
    """Those that are trained already."""
    if not FOUND.is_file():
        return {}
    with FOUND.open(encoding="utf-8") as file:
        return {_cell(row): row[4:] for row in list(csv.reader(file))[1:]}


def _cell(row: list[str]) -> Cell:
    return Cell(int(row[0]), row[1], row[2], int(row[3]))


def evaluations(net: RetrievalNet, data: Retrieval) -> Iterator[tuple[int, float]]:
    """Steps and the loss of the evaluation after them, while training goes on."""
    optimizer = torch.optim.Adam(net.parameters(), 0.001)
    (judged,) = list(data.val_dataloader())
    for step, batch in enumerate(data.train_dataloader(), 1):
        optimizer.zero_grad()
        net.losses(batch)[0].mean().backward()
        optimizer.step()
        if step % EVERY == 0:
            with torch.no_grad():
                yield step, float(net.losses(judged)[0].mean())
        if step == LIMIT:
            return


def train(cell: Cell) -> list[str]:
    """The rest of a row: best loss, its step, the last step, processor seconds."""
    torch.manual_seed(1)
    begin = time.process_time()
    best, best_step, step = float("inf"), 0, 0
    for step, loss in evaluations(*cell.build()):
        if loss < best:
            best, best_step = loss, step
        if loss <= SOLVED or step - best_step >= PATIENCE * EVERY:
            break
    seconds = time.process_time() - begin
    return [f"{best:.4f}", str(best_step), str(step), f"{seconds:.0f}"]


def add(cell: Cell, row: list[str]) -> None:
    """A finished cell into the file."""
    new = not FOUND.is_file()
    with FOUND.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(HEADER)
        writer.writerow([*map(str, cell), *row])


def show() -> None:
    """Write the table: measured / log, a row for each net and a column for each size."""
    logs, measured = cells(), found()
    lines = [
        "# Associative retrieval, settings 1 and 2 of 2021",
        "",
        f"`python benchmarks/fastweights_retrieval.py`, {today()}, {describe()}. Best loss of an "
        "evaluation, one seed, measured / log; a dash is not measured yet. Steps to the best and "
        "seconds are in fastweights-retrieval.csv.",
        "",
        "What the logs have that is no result: DPFP-2 with the delta rule at 100 keys ended after "
        "300 steps. Random features are redrawn in every call, there and here.",
    ]
    for setting in (1, 2):
        sizes = sorted({cell.keys for cell in logs if cell.setting == setting})
        lines += [
            "",
            f"## Setting {setting}",
            "",
            f"| rule | features | {' | '.join(map(str, sizes))} |",
        ]
        lines.append("|---" * (len(sizes) + 2) + "|")
        for rule, features in sorted({(c.rule, c.features) for c in logs if c.setting == setting}):
            row = [Cell(setting, rule, features, size) for size in sizes]
            texts = [f"{measured.get(cell, ['-'])[0]} / {logs[cell][0]}" for cell in row]
            lines.append(f"| {rule} | {features} | {' | '.join(texts)} |")
    TABLE.write_text("\n".join([*lines, ""]), encoding="utf-8")


def draw() -> None:
    """Best losses against the number of keys: lines are the logs', dots what was measured."""
    logs, measured = cells(), found()
    figure = Figure(figsize=(10, 4), layout="constrained")
    for setting in (1, 2):
        axes = figure.add_subplot(1, 2, setting)
        kinds = sorted({(c.rule, c.features) for c in logs if c.setting == setting})
        for rule, features in kinds:
            if features.startswith("random"):
                continue
            sizes = sorted(c.keys for c in logs if c[:3] == (setting, rule, features))
            row = [Cell(setting, rule, features, size) for size in sizes]
            (line,) = axes.plot(
                sizes, [float(logs[c][0]) for c in row], label=f"{rule}, {features}"
            )
            here = [cell for cell in row if cell in measured]
            axes.scatter(
                [cell.keys for cell in here],
                [float(measured[cell][0]) for cell in here],
                color=line.get_color(),
            )
        axes.axhline(SOLVED, color="gray", linewidth=0.8)
        axes.set(title=f"setting {setting}", xlabel="keys", ylabel="best loss", yscale="log")
        axes.legend(fontsize="small")
    figure.savefig(PICTURE, dpi=90)


def main() -> None:
    """Train what is missing, and show."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keys", help="numbers of keys, such as 20,40 (default: all)")
    parser.add_argument("--features", help="such as elu1,dpfp1 (default: all)")
    parser.add_argument("--show", action="store_true", help="train nothing")
    options = parser.parse_args()
    sizes = options.keys and {int(size) for size in options.keys.split(",")}
    kinds = options.features and set(options.features.split(","))
    for cell in sorted(cells(), key=lambda cell: cell.keys):
        wanted = (not sizes or cell.keys in sizes) and (not kinds or cell.features in kinds)
        if options.show or not wanted or cell in found():
            continue
        row = train(cell)
        add(cell, row)
        print(*cell, *row, flush=True)
    show()
    draw()


if __name__ == "__main__":
    main()
