"""What this plugin registers."""

from zoo.plugin import Recipes, hookimpl

ZOO_PLUGIN_API = 1


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("evolution", "zoo_evolution:recipes")]
