"""How fast the sequence plugin is, in seconds of the processor, and what a plain loop needs.

    python benchmarks/sequence.py lstm97             # prints a table of Markdown
    python benchmarks/sequence.py ctc --root fsdd    # the folder of the spoken digits
    python benchmarks/sequence.py reservoirs --peer peers/bin/python    # see benchmarks/peers

``lstm97`` compares a forward and backward pass over sequences of the adding problem with a loop
over steps in torch that autograd differentiates. ``ctc`` compares an epoch through `zoo.train` with
a loop over the same batches with ``nn.CTCLoss`` and Adam: what the second of two epochs adds, so
that neither start nor end counts. ``reservoirs`` compares fitting and running reservoirs of several
sizes with reservoirpy, both in double precision on one series.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import nn

import zoo
from zoo_sequence.data.battery import Adding, collate
from zoo_sequence.data.sines import superimposed_sines
from zoo_sequence.data.spoken_digits import SpokenDigits
from zoo_sequence.echo_state import EchoState
from zoo_sequence.encoders import Encoder
from zoo_sequence.lstm97_recurrence import Layout, recurrence, reference

EPOCH = 480
SIZES = ((1, 100), (1, 300), (1, 1000), (20, 50), (100, 4))
"""Reservoirs and units of each."""
STEPS = 2000


def main() -> None:
    """Measure one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["lstm97", "ctc", "reservoirs"])
    parser.add_argument("--root", default="data/spoken-digits")
    parser.add_argument("--peer", default="peers/bin/python")
    parser.add_argument("--repeats", type=int, default=3, help="of ctc")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "lstm97":
        recurrences()
    elif options.what == "ctc":
        recognizers(options.root, options.repeats)
    else:
        reservoirs(options.peer)


def recurrences() -> None:
    """A pass over batches of the adding problem of 100 steps, of the plain loop and the other."""
    print("| batch | loop in torch | written out | times as fast |")
    print("|---|---|---|---|")
    for count in (1, 16, 64):
        stream = Adding(length=100).samples("train")
        inputs = collate([stream[index] for index in range(count)])["inputs"]
        for layout in (Layout(2, 2), Layout(2, 2, truncated=False)):
            seconds = [best(pass_over(each, inputs, layout)) for each in (reference, recurrence)]
            name = f"{count}, {'truncated' if layout.truncated else 'full'}"
            print(
                f"| {name} | {1e3 * seconds[0]:.1f} ms | {1e3 * seconds[1]:.1f} ms "
                f"| {seconds[0] / seconds[1]:.1f} |"
            )


def pass_over(
    function: Callable[..., tuple[torch.Tensor, object]], inputs: torch.Tensor, layout: Layout
) -> Callable[[], None]:
    """Forward and backward over a batch, from weights of the paper's size."""
    torch.manual_seed(0)
    weights = [torch.randn(layout.units, size) * 0.1 for size in (2, layout.units)]
    into, recurrent = (each.requires_grad_() for each in weights)
    zeros = inputs.new_zeros
    state = (zeros(len(inputs), layout.units), zeros(len(inputs), layout.cells))

    def run() -> None:
        outputs, _ = function(inputs @ into.T, recurrent, state, layout)
        outputs[:, -1].sum().backward()

    return run


def best(run: Callable[[], object], repeats: int = 3) -> float:
    """The least seconds of the processor, after one that does not count."""
    run()
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        run()
        found.append(time.process_time() - begin)
    return min(found)


def recognizers(root: str, repeats: int) -> None:
    """What an epoch of 480 strings of up to 7 digits takes, each so often, in turns."""
    settings = {
        "data.root": root, "data.epoch": EPOCH, "data.curriculum": {},
        "trainer.limit_val_batches": 0, "trainer.limit_test_batches": 1,
        "trainer.enable_progress_bar": False, "trainer.accelerator": "cpu",
        "model.decoder": "best-path",
    }  # fmt: skip

    def through_zoo(epochs: int) -> float:
        begin = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            changes = {**settings, "trainer.max_epochs": epochs}
            zoo.train("sequence/spoken-digits", changes, out=Path(folder) / "run")
        return time.process_time() - begin

    loop(root)
    ratios = []
    for _ in range(repeats):
        one, bare, two = through_zoo(1), loop(root), through_zoo(2)
        ours = two - one
        ratios.append(ours / bare)
        print(f"zoo.train {ours:.2f} s, the bare loop {bare:.2f} s: {ratios[-1]:.3f}", flush=True)
    print(f"median {median(ratios):.3f}")


def reservoirs(peer: str) -> None:
    """Fitting on 2,000 steps and running along 2,000 others; of several reservoirs reservoirpy runs
    one after the other."""
    script = Path(__file__).parent / "peers" / "reservoirs.py"
    done = subprocess.run(
        [peer, script, *(str(units) for _, units in SIZES)],
        capture_output=True,
        text=True,
        check=True,
    )
    others = json.loads(done.stdout)
    print("| reservoirs x units | reservoirpy: fit, run | zoo: fit, run | times as fast |")
    print("|---|---|---|---|")
    series = superimposed_sines(3, 2 * STEPS + 1)[None]
    for members, units in SIZES:
        torch.manual_seed(0)
        model = EchoState(
            1, units=units, members=members, input_scale=0.5, standardize=False
        ).double()
        fit, run = best(fitting(model, series)), best(lambda m=model: m.follow(series[:, STEPS:-1]))
        other = {name: members * value for name, value in others[str(units)].items()}
        print(
            f"| {members} x {units} | {other['fit']:.3f} s, {other['run']:.3f} s "
            f"| {fit:.3f} s, {run:.3f} s "
            f"| {other['fit'] / fit:.1f}, {other['run'] / run:.1f} |"
        )


def fitting(model: EchoState, series: torch.Tensor) -> Callable[[], None]:
    """A whole fit of a reservoir on the first 2,000 steps."""

    def run() -> None:
        model.on_train_epoch_start()
        model.add_series(series[:, :STEPS], series[:, 1 : STEPS + 1])
        model.solve()

    return run


def loop(root: str) -> float:
    """Seconds of the processor of an epoch with nothing but torch."""
    data = SpokenDigits(root, seed=1, epoch=EPOCH)
    facts = data.facts
    mean, std = (torch.tensor(facts[name]) for name in ("mean", "std"))
    encoder = Encoder(52, 100)
    head = nn.Linear(200, 11)
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.004)
    criterion = nn.CTCLoss(zero_infinity=True)
    begin = time.process_time()
    for batch in data.train_dataloader():
        frames = (batch["frames"] - mean) / std
        frames = frames + 0.3 * torch.randn_like(frames)
        logits = head(encoder(frames, batch["lengths"])).log_softmax(2).transpose(0, 1)
        loss = criterion(logits, batch["symbols"], batch["lengths"], batch["symbol_counts"])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
