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
_ZOOLOGY = (
    "Arora and others: Zoology: Measuring and Improving Recall in Efficient Language Models, "
    "ICLR 2024 (arXiv:2312.04927)"
)
_PROGRAMMER = (
    "Schmidhuber: Learning to Control Fast-Weight Memories: An Alternative to Dynamic Recurrent "
    "Networks, Neural Computation 4(1), 1992"
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
        Model(
            "mqar-net",
            "zoo_fastweights.mqar_net:MQARNet",
            "Recalls values of keys within a sequence: delta rule, sum, softmax or LSTM",
            paper=_ZOOLOGY,
            task="associative-retrieval",
        ),
        Model(
            "flip-flop-1992",
            "zoo_fastweights.flip_flop:FlipFlop1992",
            "The programmer of 1991: a slow net writes the weights of a fast one, on-line",
            paper=_PROGRAMMER,
            task="sequence-regression",
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
            "mqar",
            "zoo_fastweights.data.mqar:MQAR",
            "Multi-query associative recall, by the generator of Zoology",
            license=_GENERATED,
            embedded=True,
        ),
        Dataset(
            "flip-flop",
            "zoo_fastweights.data.flip_flop:FlipFlop",
            "An endless stream of events, in which the first B after an A counts",
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
