"""How fast the sequence plugin is, in seconds of the processor, and what a plain loop needs.

    python benchmarks/sequence.py lstm97             # prints a table of Markdown
    python benchmarks/sequence.py ctc --root fsdd    # the folder of the spoken digits

``lstm97`` compares a forward and backward pass over sequences of the adding problem with a loop
over steps in torch that autograd differentiates. ``ctc`` compares an epoch through `zoo.train` with
a loop over the same batches with ``nn.CTCLoss`` and Adam.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import zoo
from zoo_sequence.data.battery import Adding, collate
from zoo_sequence.data.spoken_digits import SpokenDigits
from zoo_sequence.encoders import Encoder
from zoo_sequence.lstm97_recurrence import Layout, recurrence, reference

EPOCH = 480


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["lstm97", "ctc"])
    parser.add_argument("--root", default="data/spoken-digits")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "lstm97":
        recurrences()
    else:
        recognizers(options.root)


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


def best(run: Callable[[], object], repeats: int = 7) -> float:
    """The least seconds of the processor, after one that does not count."""
    run()
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        run()
        found.append(time.process_time() - begin)
    return min(found)


def recognizers(root: str) -> None:
    """An epoch of 480 strings of up to 7 digits, each twice, the better one counting."""
    settings = {
        "data.root": root, "data.epoch": EPOCH, "data.curriculum": {}, "trainer.max_epochs": 1,
        "trainer.limit_val_batches": 0, "trainer.limit_test_batches": 1,
        "trainer.enable_progress_bar": False, "trainer.accelerator": "cpu",
    }  # fmt: skip

    def through_zoo() -> float:
        with tempfile.TemporaryDirectory() as folder:
            run = zoo.train("sequence/spoken-digits", settings, out=Path(folder) / "run")
            return float(run.environment["fit_seconds"])

    wall = [through_zoo() for _ in range(2)]
    bare = [loop(root) for _ in range(2)]
    print(
        f"zoo.train {min(wall):.2f} s, the bare loop {min(bare):.2f} s: {min(wall) / min(bare):.3f}"
    )


def loop(root: str) -> float:
    """Seconds of an epoch with nothing but torch."""
    data = SpokenDigits(root, seed=1, epoch=EPOCH)
    facts = data.facts
    mean, std = (torch.tensor(facts[name]) for name in ("mean", "std"))
    encoder = Encoder(52, 100)
    head = nn.Linear(200, 11)
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.004)
    criterion = nn.CTCLoss(zero_infinity=True)
    begin = time.perf_counter()
    for batch in data.train_dataloader():
        frames = (batch["frames"] - mean) / std
        frames = frames + 0.3 * torch.randn_like(frames)
        logits = head(encoder(frames, batch["lengths"])).log_softmax(2).transpose(0, 1)
        loss = criterion(logits, batch["symbols"], batch["lengths"], batch["symbol_counts"])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
