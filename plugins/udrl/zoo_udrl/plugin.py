"""What this plugin registers."""

from zoo.plugin import Checkpoint, Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1

_UDRL = (
    "Srivastava, Shyam, Mutz, Jaśkowski, Schmidhuber: Training Agents using Upside-Down "
    "Reinforcement Learning, arXiv:1912.02877"
)


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model(
            "udrl",
            "zoo_udrl.agent:UpsideDownAgent",
            "Behavior function: actions for an observation, a desired return and a horizon",
            paper=_UDRL,
            task="reinforcement-learning",
        )
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset(
            "udrl-episodes",
            "zoo_udrl.data:CommandedEpisodes",
            "The best episodes that the agent in training has played in any gymnasium environment",
            license="generated; no restrictions",
            homepage="https://gymnasium.farama.org",
            embedded=True,
        )
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("udrl", "zoo_udrl:recipes")]


@hookimpl
def zoo_checkpoints() -> list[Checkpoint]:
    return [
        Checkpoint(
            "udrl-cartpole",
            "zoo_udrl:checkpoints/udrl-cartpole",
            "Balances a pole for as many steps as commanded",
        ),
        Checkpoint(
            "udrl-lunarlander",
            "zoo_udrl:checkpoints/udrl-lunarlander",
            "Lands on the moon, with the return commanded",
        ),
    ]
