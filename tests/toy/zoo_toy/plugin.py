"""What the toy plugin registers."""

from zoo.plugin import Checkpoint, Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model(
            "toy-net",
            "zoo_toy.model:ToyNet",
            "A net of one hidden layer",
            paper="none: a toy",
            task="tabular-classification",
        ),
        Model("toy-cnn", "zoo_toy.cnn:ToyCNN", "A convolutional net", paper="none: a toy"),
        Model("toy-player", "zoo_toy.model:ToyPlayer", "A net that plays", paper="none: a toy"),
        Model("toy/*", "zoo_toy.model:ToyFamily", "A family of toy nets", wildcard="variant"),
        Model("toy-absent", "zoo_toy.model:Absent", "A class that does not exist"),
        Model("toy-broken", "zoo_toy.broken:Net", "A module that does not import"),
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset("toy-points", "zoo_toy.data:Points", "Clouds of points", "yours", embedded=True),
        Dataset("toy-images", "zoo_toy.images:Images", "Images of patterns", "free", embedded=True),
        Dataset("toy-files", "zoo_toy.data:Files", "Clouds of points from a file", "yours"),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("toy", "zoo_toy:recipes")]


@hookimpl
def zoo_checkpoints() -> list[Checkpoint]:
    return [Checkpoint("toy-trained", "zoo_toy:checkpoints/toy-trained", "Never trained")]
