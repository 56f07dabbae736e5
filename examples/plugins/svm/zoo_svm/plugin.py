"""What this plugin registers. It names code as text: reading it imports no torch."""

from zoo.plugin import Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model("one-class-svm", "zoo_svm.model:OneClassSVM", "The one-class SVM of scikit-learn")
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset("odd-digits", "zoo_svm.data:OddDigits", "Digits, one of them normal", embedded=True)
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("svm", "zoo_svm:recipes")]
