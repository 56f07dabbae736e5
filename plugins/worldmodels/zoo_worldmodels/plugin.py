"""What this plugin registers."""

from zoo.plugin import Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1

_CM = (
    "Schmidhuber: Making the world differentiable: on using self-supervised fully recurrent neural "
    "networks for dynamic reinforcement learning and planning in non-stationary environments, "
    "report FKI-126-90, 1990"
)


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model(
            "cm",
            "zoo_worldmodels.cm:ControllerAndModel",
            "Recurrent controller that learns by gradients through a recurrent world model",
            paper=_CM,
            task="reinforcement-learning",
        ),
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset(
            "pole-positions",
            "zoo_worldmodels.pole_positions:PolePositions",
            "A pole on a cart to balance, of which positions alone are seen",
            license="generated; no restrictions",
            embedded=True,
        ),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("worldmodels", "zoo_worldmodels:recipes")]
