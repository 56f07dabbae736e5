"""Sizes of published networks, by name.

Of the papers of 2016 and 2017 only the abstracts were available: their sizes are remembered and
unverified. Those of the lab's later program (ascarrambad/lipreading) were read in its files,
OtherScripts/adv_fc.py and baseline.py: dropout follows the feed-forward layers and not the LSTM,
and ``init_std`` draws as ``zoo_lipreading.networks.initialize`` says.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # For clips as few as AVLetters'; of this project.
    "small": {
        "feedforward": [128, 128],
        "lstm": [128],
        "classifier": [],
        "activation": "tanh",
        "dropout": 0.5,
        "lstm_dropout": None,
        "init_std": 0.0,
        "adversary_hidden": [64],
    },
    # Wand, Koutnik, Schmidhuber 2016 (arXiv:1601.08188); unverified.
    "2016": {
        "feedforward": [128],
        "lstm": [128, 128],
        "classifier": [],
        "activation": "tanh",
        "dropout": 0.0,
        "lstm_dropout": None,
        "init_std": 0.0,
        "adversary_hidden": [100, 100],
    },
    # Wand, Schmidhuber 2017 (arXiv:1708.01565); unverified, and of low confidence.
    "2017": {
        "feedforward": [256, 256, 256],
        "lstm": [256],
        "classifier": [],
        "activation": "tanh",
        "dropout": 0.5,
        "lstm_dropout": None,
        "init_std": 0.0,
        "adversary_hidden": [100, 100],
    },
    # The program's adversarial script.
    "lab": {
        "feedforward": [128, 128],
        "lstm": [128],
        "classifier": [128],
        "activation": "tanh",
        "dropout": 0.5,
        "lstm_dropout": 0.0,
        "init_std": 0.1,
        "adversary_hidden": [128],
    },
    # Its plain baseline.
    "lab-baseline": {
        "feedforward": [256, 256],
        "lstm": [256],
        "classifier": [],
        "activation": "tanh",
        "dropout": 0.5,
        "lstm_dropout": 0.0,
        "init_std": 0.1,
        "adversary_hidden": [128],
    },
}
