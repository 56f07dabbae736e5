"""What this plugin registers."""

from zoo.plugin import Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model(
            "evolved-controller",
            "zoo_evolution.controller:EvolvedController",
            "A small net that acts in an environment, its weights found by evolution",
            paper="Wierstra, Schaul, Glasmachers, Sun, Peters, Schmidhuber: Natural Evolution "
            "Strategies, JMLR 15 (2014); Gomez, Schmidhuber, Miikkulainen: Accelerated Neural "
            "Evolution through Cooperatively Coevolved Synapses, JMLR 9 (2008)",
            task="reinforcement-learning",
        ),
        Model(
            "black-box",
            "zoo_evolution.black_box:BlackBox",
            "The best point of any function with a score, found by evolution",
            paper="Wierstra, Schaul, Glasmachers, Sun, Peters, Schmidhuber: Natural Evolution "
            "Strategies, JMLR 15 (2014); Sun, Wierstra, Schaul, Schmidhuber: Efficient natural "
            "evolution strategies, GECCO 2009 (arXiv:1209.5853)",
            task="black-box-optimization",
        ),
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset(
            "pole-balancing",
            "zoo_evolution.data:PoleBalancingGenerations",
            "A cart balances one pole or two, with or without seeing velocities",
            license="generated; no restrictions",
            embedded=True,
        ),
        Dataset(
            "black-box-function",
            "zoo_evolution.data:FunctionGenerations",
            "A function to minimize: a known one, or your own by module:function or file.py:function",
            license="generated; no restrictions",
            embedded=True,
        ),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("evolution", "zoo_evolution:recipes")]
