"""What this plugin registers."""

from zoo.plugin import Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1

_LSTM = "Hochreiter, Schmidhuber: Long Short-Term Memory, Neural Computation 9(8), 1997"
_GENERATED = "generated; no restrictions"


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model(
            "lstm97",
            "zoo_sequence.lstm97:LSTM97",
            "Long short-term memory as of 1997: blocks of cells, gates that see gates",
            paper=_LSTM,
            task="sequence-regression",
        ),
    ]


def _battery(name: str, cls: str, summary: str) -> Dataset:
    return Dataset(name, f"zoo_sequence.data.{cls}", summary, license=_GENERATED, embedded=True)


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        _battery("adding", "battery:Adding", "The sum of two marked numbers, far apart"),
        _battery("multiplication", "battery:Multiplication", "The product of two marked numbers"),
        _battery("temporal-order", "battery:TemporalOrder", "The order of symbols far apart"),
        _battery("two-sequence", "battery:TwoSequence", "A class told by the first elements"),
        _battery("noise-free", "battery:NoiseFree", "A symbol that comes again after a long lag"),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("sequence", "zoo_sequence:recipes")]
