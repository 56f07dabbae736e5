"""Does a trained CTC lipreader know its training clips by heart?

    ZOO_DATA=DIR python benchmarks/lipreading_by_heart.py RUN [--decoder greedy]

Prints word and character error rates on the training clips of the run's own data, decoded as its
recipe says or by the decoder given.
"""

from __future__ import annotations

import argparse

import torch
from machine import describe, today
from torchmetrics.text import CharErrorRate, WordErrorRate

import zoo
from zoo.bundles.bundle import read_bundle
from zoo.inference.evaluate import experiment_of


def main() -> None:
    """Measure, and print a line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--decoder", choices=["greedy", "beam", "grammar"])
    options = parser.parse_args()
    model = zoo.load(options.run)
    if options.decoder:
        model.decoder = options.decoder
    if model.decoder != "grammar":
        model.grammar = None
    data = experiment_of(read_bundle(options.run), {}).build_data()
    data.setup("fit")
    wer, cer, count = WordErrorRate(), CharErrorRate(), 0
    with torch.inference_mode():
        for batch in data.train_dataloader():
            logits = model(batch["video"], batch["lengths"])
            read, targets = model.read(logits, batch["lengths"]), model.targets(batch)
            wer.update(read, targets)
            cer.update(read, targets)
            count += len(targets)
    print(
        f"{today()}; {describe()}; {count} training clips, {model.decoder}: "
        f"WER {float(wer.compute()):.4f}, CER {float(cer.compute()):.4f}"
    )


if __name__ == "__main__":
    main()
