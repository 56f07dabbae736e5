"""Every optimizer of this package, to import from one place; any plugin may use it as a library.

from zoo_evolution.optimizers import SNES

search = SNES(torch.zeros(10), step_size=1.0, seed=1)
while search.best_fitness < -1e-8:
    search.tell(-(search.ask() ** 2).sum(1))     # higher is better
"""

from zoo_evolution.search.base import Optimizer
from zoo_evolution.search.snes import SNES
from zoo_evolution.search.xnes import XNES

__all__ = ["SNES", "XNES", "Optimizer"]
