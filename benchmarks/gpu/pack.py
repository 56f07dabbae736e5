"""Pack what a machine with a GPU and without a network lacks: wheels and data.

    python benchmarks/gpu/pack.py [DATA ...] [--atari] [--video] [--limit 64]

Makes ``.whl/`` (wheels for Linux on x86-64 with Python 3.12, by ``pip download`` with whatever
index pip is configured to use) and ``.gpu/data/``, copied from ``$ZOO_DATA`` (default
``../shared/data``). Git ignores both. Prints what they weigh together with the working tree.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEELS, PACKED = ROOT / ".whl", ROOT / ".gpu" / "data"
PYTHON = "3.12"
PLATFORMS = tuple(f"manylinux{glibc}_x86_64" for glibc in ("_2_28", "_2_27", "_2_17", "2014", "1"))

# What the machine is taken to have: torch 2.11, torchvision, torchmetrics, lightning's
# dependencies, timm, scipy, scikit-image, scikit-learn, einops, tifffile, safetensors,
# huggingface-hub, tensorboard, matplotlib, onnx, onnxruntime, onnxscript, opencv-python-headless,
# pluggy, rich, pyyaml, pip. These it lacks, or has in a version that is not known.
LACKING = (
    "lightning",
    "jsonargparse",
    "docstring-parser",
    "typeshed-client",
    "importlib-resources",
    "monai",
    "nibabel",
    "gymnasium",
    "farama-notifications",
    "box2d",
)


def main() -> None:
    """Download, copy, and add up."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("data", nargs="*", metavar="DATA", help=", ".join(DATA))
    parser.add_argument("--atari", action="store_true", help="ale-py (3 MB)")
    parser.add_argument("--video", action="store_true", help="PyAV (36 MB)")
    parser.add_argument("--limit", type=int, default=64, help="MiB that may travel")
    arguments = parser.parse_args()
    names = arguments.data or ["mnist", "isbi2012", "decathlon"]
    unknown = [name for name in names if name not in DATA]
    if unknown:
        parser.error(f"there is no data {', '.join(unknown)}; there are {', '.join(DATA)}")
    extra = ["ale-py"] * arguments.atari + ["av"] * arguments.video
    download([*LACKING, *extra])
    shutil.rmtree(PACKED, ignore_errors=True)
    source = Path(os.environ.get("ZOO_DATA", ROOT / ".." / "shared" / "data"))
    for name in names:
        DATA[name](source, PACKED / name)
    weigh(arguments.limit)


def download(names: Sequence[str]) -> None:
    """Bring ``.whl/`` to exactly these wheels, at the versions of ``constraints.txt``.

    Raises:
        SystemExit: a version is not pinned, or pip fails.
    """
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    missing = [name for name in names if name not in pins]
    if missing:
        raise SystemExit(f"constraints.txt does not pin {', '.join(missing)}")
    WHEELS.mkdir(exist_ok=True)
    wanted = {f"{name.replace('-', '_')}-{pins[name]}".lower(): name for name in names}
    there = {"-".join(path.name.split("-")[:2]).lower(): path for path in WHEELS.glob("*.whl")}
    for stem, path in there.items():
        if stem not in wanted:
            path.unlink()
    new = [f"{name}=={pins[name]}" for stem, name in wanted.items() if stem not in there]
    if new:
        target = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
        for platform in PLATFORMS:
            target += ["--platform", platform]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *target]
        done = subprocess.run([*command, "--dest", str(WHEELS), *new], check=False)
        if done.returncode:
            raise SystemExit(f"pip cannot download {', '.join(new)}")


def whole(source: Path, target: Path) -> None:
    """The dataset's folder as it is."""
    shutil.copytree(existing(source / target.name), target)


def hippocampus(source: Path, target: Path) -> None:
    """The decathlon's task 4, which may lie beside the other datasets."""
    task = "Task04_Hippocampus"
    nested = source / target.name / task
    shutil.copytree(existing(nested if nested.is_dir() else source / task), target / task)


def two_speakers(source: Path, target: Path) -> None:
    """AVLetters of two speakers: a quarter."""
    lips = sorted(existing(source / target.name).glob("Lips/*_*-lips.mat"))
    speakers = sorted({path.stem.split("_")[1].removesuffix("-lips") for path in lips})[:2]
    for speaker in speakers:
        for pattern in (f"Lips/*_{speaker}-lips.mat", f"Audio/mfcc/Clean/*_{speaker}.mfcc"):
            for path in (source / target.name).glob(pattern):
                copy = target / path.relative_to(source / target.name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)


DATA: dict[str, Callable[[Path, Path], None]] = {
    "mnist": whole,
    "isbi2012": whole,
    "decathlon": hippocampus,
    "gtsrb": whole,
    "avletters": two_speakers,
}
"""What can be packed, and how."""


def existing(folder: Path) -> Path:
    """The folder.

    Raises:
        SystemExit: it does not exist.
    """
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not a folder: set ZOO_DATA to where the data are")
    return folder


def weigh(limit: int) -> None:
    """Print what travels.

    Args:
        limit: MiB that may travel.

    Raises:
        SystemExit: it is more.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    tree = [ROOT / name for name in listed.stdout.split("\0") if name]
    parts = {"working tree": tree, ".whl": list(WHEELS.rglob("*"))}
    parts |= {f".gpu/data/{each.name}": list(each.rglob("*")) for each in PACKED.iterdir()}
    total = 0.0
    for name, files in parts.items():
        mib = sum(path.stat().st_size for path in files if path.is_file()) / 2**20
        total += mib
        print(f"{mib:7.1f} MiB  {name}")
    print(f"{total:7.1f} MiB  of {limit}")
    if total > 0.97 * limit:
        raise SystemExit("too large: pack less data")


if __name__ == "__main__":
    main()
