"""What this plugin registers."""

from zoo.plugin import Checkpoint, Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1

_CM = (
    "Schmidhuber: Making the world differentiable: on using self-supervised fully recurrent neural "
    "networks for dynamic reinforcement learning and planning in non-stationary environments, "
    "report FKI-126-90, 1990"
)

_FOVEA = (
    "Schmidhuber, Huber: Learning to generate artificial fovea trajectories for target detection, "
    "International Journal of Neural Systems 2, 1991"
)

_WORLD_MODELS = "Ha, Schmidhuber: World Models, arXiv:1803.10122"


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
        Model(
            "world-model",
            "zoo_worldmodels.world_model:WorldModel",
            "Model of a world from its episodes: MDN-LSTM, deterministic GRU or small RSSM",
            paper=_WORLD_MODELS,
            task="reinforcement-learning",
        ),
        Model(
            "conv-vae",
            "zoo_worldmodels.vision:Vision",
            "Convolutional VAE that codes the frames of a world",
            paper=_WORLD_MODELS,
            task="image-feature-extraction",
        ),
        Model(
            "dream-controller",
            "zoo_worldmodels.controller:DreamController",
            "Linear controller that is evolved in the dreams of a world model",
            paper=_WORLD_MODELS,
            task="reinforcement-learning",
        ),
        Model(
            "planner",
            "zoo_worldmodels.planning:PlanningAgent",
            "Planning through a world model by gradients, CEM or MPPI",
            paper=_CM,
            task="reinforcement-learning",
        ),
        Model(
            "curious",
            "zoo_worldmodels.curiosity:CuriousAgent",
            "Agent paid by its own curiosity: prediction error, progress, disagreement, RND",
            paper="Schmidhuber: Curious model-building control systems, IJCNN 1991",
            task="reinforcement-learning",
        ),
        Model(
            "fovea",
            "zoo_worldmodels.fovea:FoveaController",
            "Controller that learns through its model to move a fovea onto a target",
            paper=_FOVEA,
            task="reinforcement-learning",
        ),
        Model(
            "one",
            "zoo_worldmodels.one:One",
            "One recurrent net that keeps old skills by replaying them while it learns new ones",
            paper="Schmidhuber: One Big Net For Everything, arXiv:1802.08864",
            task="reinforcement-learning",
        ),
        Model(
            "behavior-clone",
            "zoo_worldmodels.cloning:BehaviorClone",
            "Net that does what a log did: what a controller from dreams has to beat",
            paper="Pomerleau: ALVINN: an autonomous land vehicle in a neural network, NIPS 1988",
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
        Dataset(
            "pole-swingup",
            "zoo_worldmodels.swingup:PoleSwingup",
            "Episodes of random forces on a cart with a pole that is to be swung up",
            license="generated; no restrictions",
            embedded=True,
        ),
        Dataset(
            "noisy-tv",
            "zoo_worldmodels.noisy_tv:NoisyTV",
            "Steps of a curious agent in two rooms, one of noise",
            license="generated; no restrictions",
            embedded=True,
        ),
        Dataset(
            "fovea",
            "zoo_worldmodels.fovea_scenes:FoveaScenes",
            "Pictures with a target, and places from which a fovea sets out",
            license="generated; no restrictions",
            embedded=True,
        ),
        Dataset(
            "skills",
            "zoo_worldmodels.skills:Skills",
            "Four tasks of gymnasium's classic control to learn in turn, each with a teacher",
            license="generated; no restrictions",
            homepage="https://gymnasium.farama.org",
            embedded=True,
        ),
        Dataset(
            "dreams",
            "zoo_worldmodels.controller:Dreams",
            "Generations of a search in the dreams of a world model",
            license="generated; no restrictions",
            embedded=True,
        ),
        Dataset(
            "episodes-folder",
            "zoo_worldmodels.episodes_folder:EpisodesFolder",
            "Your own logged episodes: npz, CSV or parquet",
            license="your own",
        ),
        Dataset(
            "collected-episodes",
            "zoo_worldmodels.collected:CollectedEpisodes",
            "Episodes played in any gymnasium environment by a policy without aim",
            license="generated; no restrictions",
            homepage="https://gymnasium.farama.org",
            embedded=True,
        ),
        Dataset(
            "collected-frames",
            "zoo_worldmodels.collected:CollectedFrames",
            "Frames of an environment of pictures, such as Doom's Take Cover, kept in a folder",
            license="generated; ViZDoom's scenarios are under the MIT license, freedoom under BSD",
            homepage="https://vizdoom.farama.org",
        ),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("worldmodels", "zoo_worldmodels:recipes")]


@hookimpl
def zoo_checkpoints() -> list[Checkpoint]:
    return [
        Checkpoint(
            "cm-pole",
            "zoo_worldmodels:checkpoints/cm-pole",
            "Balances a pole of which it sees positions alone, and predicts what comes",
        )
    ]
