"""What each model of the gallery costs, kept for its page so that the documentation builds quickly.

    python benchmarks/model_costs.py    # writes docs/models/costs.json

A model's cost depends on its arguments and data; the reference that was measured stands beside it.
The paper's PyraMiD-LSTM is measured on the input of its default arguments: a sub-volume of its
recipes would run for many minutes on a CPU.
"""

from __future__ import annotations

import json
from pathlib import Path

import zoo
from zoo.inference.cost import cost_of

REFERENCES = {
    "few-shot": "fastweights/omniglot",
    "flip-flop-1992": "fastweights/flip-flop",
    "evolved-controller": "evolution/double-pole-snes",
    "black-box": "evolution/rosenbrock-xnes",
    "hpg": "hpg/four-rooms",
    "lipreader": "lipreading/lipreader-avletters",
    "lipreader-ctc": "lipreading/lipreader-ctc-talking-mouths",
    "av-fusion": "lipreading/av-fusion-avletters",
    "pyramid-lstm": "pyramid-lstm",
    "pyramid-lstm-small": "segmentation/pyramid-lstm-hippocampus",
    "md-lstm": "segmentation/md-lstm-isbi2012",
    "monai/*": "segmentation/monai-unet-hippocampus",
    "udrl": "udrl/lunarlander",
    "mqar-net": "fastweights/mqar",
    "retrieval-net": "fastweights/retrieval-elu-40",
    "text-lm": "fastweights/shakespeare",
    "mpcnn": "vision/mpcnn-mnist",
    "mlp": "vision/mlp-mnist",
    "mcdnn": "vision/mcdnn-mnist",
    "lstm97": "sequence/adding-100",
    "lstm": "sequence/adding-1000",
    "clockwork-rnn": "sequence/clockwork-waveform",
    "history-compressor": "sequence/history-compressor",
    "meta-lstm": "sequence/meta-lstm",
    "ctc-recognizer": "sequence/spoken-digits",
    "echo-state": "sequence/japanese-vowels",
    "next-frame": "sequence/jsb",
    "evolino": "sequence/superimposed-sines",
    "timm/*": "timm/resnet18",
    "cm": "worldmodels/cm-pole",
    "world-model": "worldmodels/dreamt-cartpole",
    "fovea": "worldmodels/fovea",
    "one": "worldmodels/one-net",
    "behavior-clone": "worldmodels/logs-lunarlander-clone",
}


def main() -> None:
    """Measure all, and write the file."""
    costs = {}
    for name, reference in REFERENCES.items():
        if reference == name or reference in zoo.list_recipes():
            cost = cost_of(reference)
        else:
            cost = zoo.model_cost(zoo.create_model(reference, num_classes=1000, in_channels=3))
        print(name, cost, flush=True)
        costs[name] = {"of": reference, **cost.as_dict()}
    path = Path(__file__).parents[1] / "docs/models/costs.json"
    path.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
