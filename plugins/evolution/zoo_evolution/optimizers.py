"""Every optimizer of this package, to import from one place; any plugin may use it as a library.

from zoo_evolution.optimizers import SNES

search = SNES(torch.zeros(10), step_size=1.0, seed=1)
while search.best_fitness < -1e-8:
    search.tell(-(search.ask() ** 2).sum(1))     # higher is better
"""

from zoo_evolution.search.base import Optimizer
from zoo_evolution.search.cne import Cne
from zoo_evolution.search.cosyne import Cosyne
from zoo_evolution.search.enes import ENES
from zoo_evolution.search.esp import Esp
from zoo_evolution.search.open_es import OpenES
from zoo_evolution.search.pgpe import PGPE
from zoo_evolution.search.random_search import RandomSearch
from zoo_evolution.search.snes import SNES
from zoo_evolution.search.xnes import XNES

__all__ = [
    "ENES",
    "PGPE",
    "SNES",
    "XNES",
    "Cne",
    "Cosyne",
    "Esp",
    "OpenES",
    "Optimizer",
    "RandomSearch",
]
