"""What this plugin registers."""

from zoo.plugin import Checkpoint, Dataset, Model, Recipes, hookimpl

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
_SRWM = (
    "Irie, Schlag, Csordas, Schmidhuber: A Modern Self-Referential Weight Matrix That Learns to "
    "Modify Itself, ICML 2022 (arXiv:2202.05780)"
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
        ),
        Model(
            "text-lm",
            "zoo_fastweights.text_lm:TextLM",
            "Language model of characters: delta rule, sum, softmax, LSTM or hybrids",
            paper=_DELTANET,
            task="text-generation",
        ),
        Model(
            "mqar-net",
            "zoo_fastweights.mqar_net:MQARNet",
            "Recalls values of keys within a sequence: delta rule, sum, softmax or LSTM",
            paper=_ZOOLOGY,
        ),
        Model(
            "flip-flop-1992",
            "zoo_fastweights.flip_flop:FlipFlop1992",
            "The programmer of 1991: a slow net writes the weights of a fast one, on-line",
            paper=_PROGRAMMER,
        ),
        Model(
            "few-shot",
            "zoo_fastweights.few_shot:FewShot",
            "Learns new classes from a few drawings, in fast weights, without fine-tuning",
            paper=_SRWM,
            task="image-classification",
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
        Dataset(
            "omniglot",
            "zoo_fastweights.data.omniglot:Omniglot",
            "Handwritten characters of many alphabets as few-shot tasks, divided by alphabet",
            license="MIT",
            homepage="https://github.com/brendenlake/omniglot",
        ),
        Dataset(
            "class-folder",
            "zoo_fastweights.data.class_folder:ClassFolder",
            "Your own images, one folder a class, as few-shot tasks",
            license="yours",
        ),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("fastweights", "zoo_fastweights:recipes")]


@hookimpl
def zoo_checkpoints() -> list[Checkpoint]:
    return [
        Checkpoint(
            "text-lm-shakespeare",
            "zoo_fastweights:checkpoints/text-lm-shakespeare",
            "Delta rule on Shakespeare's characters, rounded to bfloat16",
        ),
        Checkpoint(
            "few-shot-omniglot",
            "zoo_fastweights:checkpoints/few-shot-omniglot",
            "Learns new handwritten signs from one drawing each, by the delta rule",
        ),
    ]
