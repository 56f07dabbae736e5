"""Images of one's own: what `zoo train` costs beside a bare loop, as whole processes in one run.

GTSRB from its publisher's folders, as an image-folder whose groups are the tracks. Both train the
same network of timm on the same parts for the same epochs, with the same optimizer and schedule,
validate after every epoch, keep the best epoch's weights and test them. The bare loop is what a
user writes: torchvision's datasets, decoding every image in every epoch, a DataLoader, and
torch.save. `zoo train` also checks and counts the files, looks for copies, measures more metrics,
logs, writes checkpoints to continue from, plots and a bundle.

Processor time is user and system, with workers; memory the largest resident set of the main
process; the first step is counted from its start, imports included.


    OMP_NUM_THREADS=1 ZOO_DATA=DIR python benchmarks/own_images.py [--epochs 6] [--seeds 1 2 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from machine import describe, today

RESULTS = Path(__file__).parent / "results"
NETWORK, SIZE, BATCH, LR = "resnet10t", 48, 64, 0.003
PATTERN = r"(\d{5})/(\d{5})_"
ZOO = """
import json, sys, time
import zoo
from zoo_vision.classifier import Classifier

options = json.load(open(sys.argv[1]))
first = []
def on_train_batch_end(self, *args):
    first or first.append(time.process_time())
Classifier.on_train_batch_end = on_train_batch_end
run = zoo.train("vision/timm-image-folder", options["overrides"], out=options["out"])
print(json.dumps({"accuracy": run.metrics["test/accuracy"], "first": first[0]}))
"""
BARE = """
import json, sys, time
import torch, timm
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets.folder import pil_loader
from torchvision.transforms import v2

options = json.load(open(sys.argv[1]))
torch.manual_seed(options["seed"])
size, epochs, batch, lr = (options[key] for key in ("size", "epochs", "batch", "lr"))
steps = v2.Compose([v2.PILToTensor(), v2.Resize(size), v2.CenterCrop(size)])

class Images(Dataset):
    def __init__(self, part):
        self.files = options["parts"][part]
    def __len__(self):
        return len(self.files)
    def __getitem__(self, index):
        path, label = self.files[index]
        return steps(pil_loader(path)), label

def loader(part, shuffle=False):
    workers = options["workers"]
    return DataLoader(Images(part), batch, shuffle=shuffle, num_workers=workers,
                      persistent_workers=workers > 0)

train, val, test = loader("train", True), loader("val"), loader("test")
mean = torch.tensor(options["mean"]).view(1, 3, 1, 1)
std = torch.tensor(options["std"]).view(1, 3, 1, 1)
model = timm.create_model(options["network"], num_classes=43)
optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05, fused=True)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, epochs * len(train), pct_start=0.2)

def measure(loader):
    model.eval()
    with torch.no_grad():
        hits = sum(int((model((images / 255 - mean) / std).argmax(1) == labels).sum())
                   for images, labels in loader)
    model.train()
    return hits / len(loader.dataset)

first, best = None, -1
for epoch in range(epochs):
    for images, labels in train:
        loss = torch.nn.functional.cross_entropy(model((images / 255 - mean) / std), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        first = first or time.process_time()
    accuracy = measure(val)
    if accuracy > best:
        best = accuracy
        torch.save(model.state_dict(), options["out"])
model.load_state_dict(torch.load(options["out"]))
print(json.dumps({"accuracy": measure(test), "first": first}))
"""


def split(root: Path) -> tuple[dict[str, list[tuple[str, int]]], dict[str, Any]]:
    """The files and labels of each part, as `zoo train` divides them, and the pixel statistics."""
    from zoo_vision.data.image_folder import ImageFolder

    data = ImageFolder(str(root), image_size=SIZE, group_pattern=PATTERN, memory_mb=0, check="open")
    facts = data.facts
    parts = {}
    for part in ("train", "val", "test"):
        images: Any = data.samples(part)  # type: ignore[arg-type]
        parts[part] = list(zip(images.paths.tolist(), images.labels.tolist(), strict=True))
    return parts, {"mean": facts["mean"], "std": facts["std"]}


def measured(script: str, options: dict[str, Any]) -> dict[str, float]:
    """What a process prints, its processor time with its children, and its memory in MB."""
    file = Path(f"{options['out']}.json")
    file.write_text(json.dumps(options), encoding="utf-8")
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(writer, 1)
        os.execv(sys.executable, [sys.executable, "-c", script, str(file)])
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise subprocess.CalledProcessError(status, "the contender")
    found = json.loads(text.strip().splitlines()[-1])
    return {
        **found,
        "seconds": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss / 1024,
    }


def compare(
    root: Path, folder: Path, epochs: int, workers: int, seed: int
) -> list[dict[str, float]]:
    """One run of each, the bare loop first."""
    parts, statistics_ = split(root)
    shared = {
        "seed": seed,
        "size": SIZE,
        "epochs": epochs,
        "batch": BATCH,
        "lr": LR,
        "workers": workers,
        "network": NETWORK,
        "parts": parts,
        **statistics_,
    }
    overrides = {
        "seed": seed,
        "model.name": f"timm/{NETWORK}",
        "model.lr": LR,
        "model.label_smoothing": 0.0,
        "model.rotation": 0,
        "model.scaling": 0,
        "model.translation": 0,
        "data.root": str(root),
        "data.image_size": SIZE,
        "data.batch_size": BATCH,
        "data.num_workers": workers,
        "data.group_pattern": PATTERN,
        "trainer.max_epochs": epochs,
        "trainer.accelerator": "cpu",
    }
    name = f"{workers}-{seed}"
    return [
        measured(BARE, {**shared, "out": str(folder / f"{name}.pt")}),
        measured(ZOO, {"overrides": overrides, "out": str(folder / name)}),
    ]


def main() -> None:
    """Let the two take turns and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    archive = Path(os.environ["ZOO_DATA"]) / "gtsrb" / "GTSRB_Training_every5th.zip"
    lines = [
        "# Images of one's own",
        "",
        f"- {today()}, `OMP_NUM_THREADS=1 python benchmarks/own_images.py --epochs "
        f"{options.epochs} --seeds {' '.join(map(str, options.seeds))}`",
        f"- {describe()}",
        f"- GTSRB, every fifth training image, from its folders; {NETWORK} at {SIZE}x{SIZE}, "
        f"batches of {BATCH}; medians over the seeds of `zoo train` / bare loop",
        "",
        "| workers | processor time (at most 1.05) | first step (at most 1.3) | memory (at most 1) "
        "| accuracy, zoo | bare loop | seconds, zoo | bare loop |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with ZipFile(archive) as files:
            files.extractall(folder)
        root = folder / "GTSRB" / "Training"
        for workers in (0, 2):
            pairs = [compare(root, folder, options.epochs, workers, s) for s in options.seeds]

            def ratio(key: str, pairs: list[list[dict[str, float]]] = pairs) -> str:
                return f"{statistics.median(zoo[key] / bare[key] for bare, zoo in pairs):.3f}"

            def span(key: str, who: int, pairs: list[list[dict[str, float]]] = pairs) -> str:
                values = sorted(pair[who][key] for pair in pairs)
                digits = 4 if key == "accuracy" else 1
                return f"{values[0]:.{digits}f} to {values[-1]:.{digits}f}"

            lines.append(
                f"| {workers} | **{ratio('seconds')}** | {ratio('first')} | {ratio('memory')} | "
                f"{span('accuracy', 1)} | {span('accuracy', 0)} | {span('seconds', 1)} | "
                f"{span('seconds', 0)} |"
            )
    text = "\n".join([*lines, ""])
    print(text)
    (RESULTS / "own-images.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
