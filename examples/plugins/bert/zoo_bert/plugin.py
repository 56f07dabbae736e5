"""What this plugin registers. It names code as text: reading it imports no torch."""

from zoo.plugin import Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1


@hookimpl
def zoo_models() -> list[Model]:
    return [Model("bert-text", "zoo_bert.model:BertTextClassifier", "A BERT on the bytes of texts")]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [Dataset("text-folder", "zoo_bert.data:TextFolder", "Text files by class")]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("bert", "zoo_bert:recipes")]
