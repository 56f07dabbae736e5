"""The PyraMiD-LSTM layer against the limit of the machine, the obvious loop, and MONAI's nets.

    python benchmarks/pyramid.py [--device cpu] [--size 36 50 36] [--channels 16] [--hidden 16]
                                 [--kernel 5] [--repeats 5] [--threads N] [--checkpointing]

Forward and backward of one layer. The limit is one plain convolution with the same number of
multiplications, over all slabs at once, in the layout and precision that is fastest here. The
obvious loop is ``strategy="loop"``: a convolution of the input and one of the state at every
step, by autograd; each precision is compared with the loop in the same one, and bfloat16 with the
float32 loop too, by that name. The repeats alternate, so that a busy machine slows all; printed
are medians. Memory is the peak of a process of its own above what it held before the step. The
result is written to benchmarks/results/pyramid-DEVICE.md; with ``--checkpointing`` only what that
costs is measured, and printed; with ``--pairs`` only the loop and the chosen strategy are, in both
precisions, and printed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import machine
import torch
import torch.nn.functional as F
from monai.networks import nets

from zoo_segmentation.layers import PyramidLSTM
from zoo_segmentation.layers.scan import STRATEGIES

RESULTS = Path(__file__).parent / "results"
PAPER = ("--size", "15", "128", "128", "--kernel", "7")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def seconds(work: Callable[[], object], device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def layer_step(arguments: argparse.Namespace, dtype: torch.dtype, **options) -> Callable[[], None]:
    made = PyramidLSTM(arguments.channels, arguments.hidden, arguments.kernel, **options)
    made.to(arguments.device)
    x = torch.randn(1, arguments.channels, *arguments.size, device=arguments.device)
    x.requires_grad_()

    def step() -> None:
        mixed = dtype != torch.float32
        with torch.autocast(arguments.device, dtype, enabled=mixed):
            y = made(x)
        y.sum().backward()

    return step


def limit_step(arguments: argparse.Namespace, dtype: torch.dtype, last: bool) -> Callable[[], None]:
    """Six times one convolution over all slabs of an axis: the layer's multiplications."""
    layout = torch.channels_last if last else torch.contiguous_format
    depth, *slab = arguments.size
    inputs = arguments.channels + arguments.hidden
    side = arguments.kernel
    kinds = {"dtype": dtype, "device": arguments.device}
    x = torch.randn(depth, inputs, *slab, **kinds).contiguous(memory_format=layout)
    weight = torch.randn(4 * arguments.hidden, inputs, side, side, **kinds)
    weight = weight.contiguous(memory_format=layout)
    x.requires_grad_()
    weight.requires_grad_()
    grad = torch.randn(depth, 4 * arguments.hidden, *slab, **kinds)
    grad = grad.contiguous(memory_format=layout)

    def step() -> None:
        for _ in range(6):
            F.conv2d(x, weight, padding=side // 2).backward(grad)

    return step


def net_step(net: torch.nn.Module, size: list[int], device: str) -> Callable[[], None]:
    net.to(device)
    x = torch.randn(1, 1, *size, device=device)

    def step() -> None:
        with torch.autocast(device, torch.bfloat16):
            y = net(x)
        y.float().square().mean().backward()

    return step


def peak(arguments: argparse.Namespace) -> None:
    """In a process of its own: print the peak memory of one step, in MB."""
    step = layer_step(arguments, torch.bfloat16, checkpoint=arguments.peak == "checkpoint")
    if arguments.device != "cpu":
        before = torch.cuda.memory_allocated()
        step()
        print((torch.cuda.max_memory_allocated() - before) / 2**20)
        return
    small = argparse.Namespace(**{**vars(arguments), "size": [2, 4, 4]})
    layer_step(small, torch.bfloat16)()  # what libraries load at their first use
    before_kb = resident("VmRSS")
    step()
    print((resident("VmHWM") - before_kb) / 2**10)


def resident(line: str) -> int:
    """Memory of this process in kB, as Linux counts it: now (VmRSS) or at most (VmHWM)."""
    for found in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if found.startswith(f"{line}:"):
            return int(found.split()[1])
    raise ValueError(f"/proc/self/status has no {line}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--size", type=int, nargs=3, default=[36, 50, 36], help="D H W, voxels")
    parser.add_argument("--channels", type=int, default=16, help="channels of the layer's input")
    parser.add_argument("--hidden", type=int, default=16, help="channels of its states")
    parser.add_argument("--kernel", type=int, default=5, help="side of its windows")
    parser.add_argument("--repeats", type=int, default=5, help="timings of each")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--checkpointing", action="store_true", help="measure nothing else")
    parser.add_argument("--pairs", action="store_true", help="measure the loop and ours alone")
    parser.add_argument("--peak", choices=["all", "checkpoint"], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.peak:
        peak(arguments)
        return
    chosen = PyramidLSTM(1, 1, 1).to(arguments.device).resolved_strategy
    if arguments.checkpointing:
        medians = times(checkpointing_rows(arguments, chosen), arguments)
        print(checkpointing(medians, peaks(), chosen))
        return
    if arguments.pairs:
        print(pairs(arguments, chosen))
        return
    rows: dict[str, Callable[[], None]] = {}
    for name, dtype in PRECISIONS.items():
        rows[f"limit, {name}"] = limit_step(arguments, dtype, last=False)
        rows[f"limit, {name}, channels last"] = limit_step(arguments, dtype, last=True)
        rows[f"loop, {name}"] = layer_step(arguments, dtype, strategy="loop")
        for strategy in STRATEGIES:
            rows[f"{strategy}, {name}"] = layer_step(arguments, dtype, strategy=strategy)
    rows |= checkpointing_rows(arguments, chosen)
    cube = [64, 64, 64]
    nets_of = {
        "MONAI UNet, bfloat16": nets.UNet(3, 1, 3, [16, 32, 64, 128], [2, 2, 2], num_res_units=2),
        "MONAI SwinUNETR, bfloat16": nets.SwinUNETR(1, 3, feature_size=24),
    }
    for name, net in nets_of.items():
        rows[name] = net_step(net, cube, arguments.device)
    write(arguments, times(rows, arguments), peaks(), chosen, cube)


def pairs(arguments: argparse.Namespace, chosen: str) -> str:
    """The loop and the chosen strategy in both precisions, like with like."""
    rows = {
        f"{strategy}, {name}": layer_step(arguments, dtype, strategy=strategy)
        for name, dtype in PRECISIONS.items()
        for strategy in ("loop", chosen)
    }
    medians = times(rows, arguments)
    lines = [f"- {machine.today()}; {machine.describe()}", "", *_PAIRS]
    for name, value in medians.items():
        lines.append(f"| {name} | {value:.3f} | {_against_the_loop(medians, name)} |")
    return "\n".join(lines)


_PAIRS = [
    "| forward and backward | seconds (median) | times the loop in that precision "
    "| times the float32 loop |",
    "|---|---|---|---|",
]


def _against_the_loop(medians: dict[str, float], name: str) -> str:
    """Two cells: how much faster than the loop in the same precision, and than that in float32."""
    own = medians[f"loop, {name.split(', ')[1]}"] / medians[name]
    return f"{own:.2f} | {medians['loop, float32'] / medians[name]:.2f}"


def checkpointing_rows(arguments: argparse.Namespace, chosen: str) -> dict[str, Callable[[], None]]:
    return {
        f"{chosen}, bfloat16": layer_step(arguments, torch.bfloat16, strategy=chosen),
        f"{chosen}, bfloat16, checkpoint": layer_step(
            arguments, torch.bfloat16, strategy=chosen, checkpoint=True
        ),
    }


def times(rows: dict[str, Callable[[], None]], arguments: argparse.Namespace) -> dict[str, float]:
    """Median seconds of each."""
    taken: dict[str, list[float]] = {name: [] for name in rows}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for repeat in range(arguments.repeats + 1):
            for name, step in rows.items():
                elapsed = seconds(step, arguments.device)
                if repeat:  # the first is for warming up
                    taken[name].append(elapsed)
    return {name: statistics.median(values) for name, values in taken.items()}


def peaks() -> dict[str, float]:
    """Peak memory of a step without and with checkpointing, in MB."""
    memory = {}
    for kind in ("all", "checkpoint"):
        command = [sys.executable, *sys.argv, "--peak", kind]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        memory[kind] = float(done.stdout.split()[-1])
    return memory


def checkpointing(medians: dict[str, float], memory: dict[str, float], chosen: str) -> str:
    slower = medians[f"{chosen}, bfloat16, checkpoint"] / medians[f"{chosen}, bfloat16"]
    share = memory["checkpoint"] / memory["all"]
    return (
        f"- Checkpointing: {memory['checkpoint']:.0f} MB instead of {memory['all']:.0f} MB "
        f"({share:.2f}), {slower:.2f} times as long."
    )


def write(
    arguments: argparse.Namespace,
    medians: dict[str, float],
    memory: dict[str, float],
    chosen: str,
    cube: list[int],
) -> None:
    depth, height, width = arguments.size
    voxels = depth * height * width
    work = 3 * 6 * 2 * voxels * arguments.kernel**2 * 4 * arguments.hidden
    work *= arguments.channels + arguments.hidden
    limit = min(value for name, value in medians.items() if name.startswith("limit"))
    table = [
        "| forward and backward | seconds (median) | GFLOP/s | of the limit "
        "| times the loop in that precision | times the float32 loop |",
        "|---|---|---|---|---|---|",
    ]
    for name, value in medians.items():
        if not name.startswith("MONAI"):
            table.append(
                f"| {name} | {value:.3f} | {work / value / 1e9:.0f} | {limit / value:.2f} | "
                f"{_against_the_loop(medians, name)} |"
            )
    table += ["", "| whole nets, training step | voxels a second |", "|---|---|"]
    for name, value in medians.items():
        if name.startswith("MONAI"):
            table.append(f"| {name}, {'x'.join(map(str, cube))} | {cube[0] ** 3 / value:,.0f} |")
    ours = medians[f"{chosen}, bfloat16"]
    table.append(f"| this layer, {chosen}, bfloat16 | {voxels / ours:,.0f} |")
    text = "\n".join(
        [
            "# PyraMiD-LSTM: speed and memory",
            "",
            f"- {machine.today()}, `{' '.join(['python', *sys.argv])}`",
            f"- {machine.describe()}",
            f"- input 1x{arguments.channels}x{depth}x{height}x{width}, {arguments.hidden} hidden "
            f"channels, windows of {arguments.kernel}; {work / 1e9:.0f} GFLOP forward and backward",
            "",
            *table,
            "",
            checkpointing(medians, memory, chosen),
            ""
            if arguments.device != "cpu"
            else f"- On a GPU (`{' '.join(PAPER)}`): not measured.\n",
        ]
    )
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"pyramid-{arguments.device}.md").write_text(text)


if __name__ == "__main__":
    main()
