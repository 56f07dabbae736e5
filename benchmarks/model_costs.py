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
    "hpg": "hpg/four-rooms",
    "lipreader": "lipreading/lipreader-avletters",
    "lipreader-ctc": "lipreading/lipreader-ctc-talking-mouths",
    "av-fusion": "lipreading/av-fusion-avletters",
    "pyramid-lstm": "pyramid-lstm",
    "pyramid-lstm-small": "segmentation/pyramid-lstm-hippocampus",
    "md-lstm": "segmentation/md-lstm-isbi2012",
    "monai/*": "segmentation/monai-unet-hippocampus",
    "udrl": "udrl/lunarlander",
    "mpcnn": "vision/mpcnn-mnist",
    "mlp": "vision/mlp-mnist",
    "mcdnn": "vision/mcdnn-mnist",
    "timm/*": "timm/resnet18",
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
