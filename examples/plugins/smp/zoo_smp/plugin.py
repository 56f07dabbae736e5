"""What this plugin registers. It names code as text: reading it imports no torch."""

from zoo.plugin import Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1


@hookimpl
def zoo_models() -> list[Model]:
    return [Model("smp-net", "zoo_smp.model:SmpModel", "Nets of segmentation_models_pytorch")]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [Dataset("smp-masks", "zoo_smp.data:Masks", "A folder of images and masks")]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("smp", "zoo_smp:recipes")]
