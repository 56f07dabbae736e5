"""What this plugin registers."""

from zoo.plugin import Checkpoint, Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1


_LIPREADER = (
    "Wand, Schmidhuber: Improving Speaker-Independent Lipreading with Domain-Adversarial "
    "Training, Interspeech 2017 (arXiv:1708.01565)"
)


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model(
            "lipreader",
            "zoo_lipreading.lipreader:Lipreader",
            "Words from clips of a mouth, and domain-adversarial adaptation to a new speaker",
            paper=_LIPREADER,
            task="video-classification",
        ),
        Model(
            "lipreader-ctc",
            "zoo_lipreading.lipreader_ctc:LipreaderCTC",
            "Sentences from clips of a mouth by CTC, in characters or words",
            paper="Graves, Fernandez, Gomez, Schmidhuber: Connectionist Temporal Classification, "
            "ICML 2006; Assael et al.: LipNet, 2016 (arXiv:1611.01599)",
            task="automatic-speech-recognition",
        ),
        Model(
            "av-fusion",
            "zoo_lipreading.av_fusion:AVFusion",
            "Words from images and sound, joined early or late, in noise",
            paper="Wand, Schmidhuber, Vu: Investigations on End-to-End Audiovisual Fusion, ICASSP "
            "2018 (arXiv:1804.11127)",
            task="video-classification",
        ),
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset(
            "talking-mouths",
            "zoo_lipreading.data.talking_mouths:TalkingMouths",
            "Generated mouths of several speakers, words or sentences, for demo and tests",
            license="generated; no restrictions",
            embedded=True,
        ),
        Dataset(
            "avletters",
            "zoo_lipreading.data.avletters:AVLetters",
            "AVLetters: the letters A to Z, three times by each speaker, lips and MFCCs",
            license="research",
            homepage="https://doi.org/10.1109/34.982900",
        ),
        Dataset(
            "grid",
            "zoo_lipreading.data.grid:Grid",
            "GRID: sentences of six words by 34 speakers, whole or word by word",
            license="see the deposit's terms",
            homepage="https://doi.org/10.5281/zenodo.3625687",
        ),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("lipreading", "zoo_lipreading:recipes")]


@hookimpl
def zoo_checkpoints() -> list[Checkpoint]:
    return [
        Checkpoint(
            "lipreader-avletters",
            "zoo_lipreading:checkpoints/lipreader-avletters",
            "The letters A to Z from the lips of eight speakers of AVLetters",
        )
    ]
