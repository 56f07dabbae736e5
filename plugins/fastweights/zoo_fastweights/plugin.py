"""What this plugin registers."""

from zoo.plugin import Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1
_FWP_2021 = (
    "Schlag, Irie, Schmidhuber: Linear Transformers Are Secretly Fast Weight Programmers, "
    "ICML 2021 (arXiv:2102.11174)"
)
_DELTANET = (
    "Yang, Wang, Zhang, Shen, Kim: Parallelizing Linear Transformers with the Delta Rule over "
    "Sequence Length, NeurIPS 2024 (arXiv:2406.06484)"
)
_GENERATED = "generated, no terms"


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model(
            "retrieval-net",
            "zoo_fastweights.retrieval_net:RetrievalNet",
            "One associative memory, by sum, delta rule or softmax: how many keys does it hold",
            paper=_FWP_2021,
            task="associative-retrieval",
        ),
        Model(
            "text-lm",
            "zoo_fastweights.text_lm:TextLM",
            "Language model of characters: delta rule, sum, softmax, LSTM or hybrids",
            paper=_DELTANET,
            task="language-modeling",
        ),
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset(
            "retrieval",
            "zoo_fastweights.data.retrieval:Retrieval",
            "Pairs of keys and values, then questions for keys, with replacement or without",
            license=_GENERATED,
            embedded=True,
        ),
        Dataset(
            "text-folder",
            "zoo_fastweights.data.text_folder:TextFolder",
            "Your own .txt files, as characters or bytes",
            license="yours",
        ),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("fastweights", "zoo_fastweights:recipes")]
