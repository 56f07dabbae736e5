"""A plugin whose learners count: what it registers."""

from zoo.plugin import Dataset, Model, hookimpl

ZOO_PLUGIN_API = 1


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model("climber", "counting_learner:Climber", "Evolution of two numbers"),
        Model("counted-net", "counting_learner:CountedNet", "A net that counts sequences"),
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset("generations", "counting_learner:Generations", "No data", embedded=True),
        Dataset("sums", "counting_learner:Sums", "Generated sums", embedded=True),
    ]
