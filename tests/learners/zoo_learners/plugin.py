"""Five kinds of learner, each in a file of its own."""

from zoo.plugin import Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1
_HERE = "zoo_learners"


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model("snes", f"{_HERE}.snes:Snes", "Evolution"),
        Model("gan", f"{_HERE}.gan:Gan", "Two players"),
        Model("adder", f"{_HERE}.adding:Adder", "A stream until solved"),
        Model("echo-state", f"{_HERE}.echo_state:EchoState", "Closed form"),
        Model("world-model", f"{_HERE}.world_model:WorldModel", "In turns"),
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset("generations", f"{_HERE}.snes:Generations", "Generations", embedded=True),
        Dataset("circle", f"{_HERE}.gan:Circle", "Points near a circle", embedded=True),
        Dataset("additions", f"{_HERE}.adding:Additions", "Sequences", embedded=True),
        Dataset("waves", f"{_HERE}.echo_state:Waves", "Pieces of a wave", embedded=True),
        Dataset("turns", f"{_HERE}.cart:Turns", "Turns", embedded=True),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("learners", f"{_HERE}:recipes")]
