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
        )
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
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("evolution", "zoo_evolution:recipes")]
