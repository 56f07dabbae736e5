"""The choices of a sweep by name; read by the command line, which imports no Optuna."""

from __future__ import annotations

SAMPLERS = {
    "tpe": "learns from the trials before (tree-structured Parzen estimator)",
    "random": "draws each trial by itself",
}
PRUNERS = {
    "median": "ends a trial that is worse than the median of the others, from the sixth trial and "
    "the second validation on",
    "halving": "successive halving: the best quarter goes on to four times as many validations",
    "none": "every trial is trained to its end",
}
TRIALS = 20
"""How many trials a sweep has by default."""
