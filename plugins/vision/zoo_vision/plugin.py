"""What this plugin registers."""

from zoo.plugin import Checkpoint, Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model(
            "mpcnn",
            "zoo_vision.mpcnn:MPCNN",
            "Max-pooling CNN in the papers' notation, e.g. 1x29x29-20C4-MP2-40C5-MP3-150N-10N",
            paper="Ciresan, Meier, Masci, Gambardella, Schmidhuber: Flexible, High Performance "
            "Convolutional Neural Networks for Image Classification, IJCAI 2011",
            task="image-classification",
        ),
        Model(
            "mlp",
            "zoo_vision.mlp:MLP",
            "Deep big simple net: a plain multilayer perceptron on deformed images",
            paper="Ciresan, Meier, Gambardella, Schmidhuber: Deep, Big, Simple Neural Nets for "
            "Handwritten Digit Recognition, Neural Computation 22(12), 2010 (arXiv:1003.0358)",
            task="image-classification",
        ),
        Model(
            "mcdnn",
            "zoo_vision.mcdnn:MCDNN",
            "Multi-column committee of max-pooling CNNs on differently preprocessed images",
            paper="Ciresan, Meier, Schmidhuber: Multi-column Deep Neural Networks for Image "
            "Classification, CVPR 2012 (arXiv:1202.2745)",
            task="image-classification",
        ),
        Model(
            "timm/*",
            "zoo_vision.timm_models:TimmClassifier",
            "Any image classifier of the timm library, by its timm name",
            paper="Wightman: PyTorch Image Models (timm)",
            wildcard="architecture",
            task="image-classification",
        ),
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset(
            "digits",
            "zoo_vision.data.digits:Digits",
            "1,797 scanned handwritten digits of 8x8 pixels, bundled with scikit-learn",
            license="CC BY 4.0 (UCI Optical Recognition of Handwritten Digits, test part)",
            homepage="https://archive.ics.uci.edu/dataset/80",
            embedded=True,
        ),
        Dataset(
            "mnist",
            "zoo_vision.data.mnist:MNIST",
            "70,000 handwritten digits of 28x28 pixels, from the publisher's four idx files",
            license="CC BY-SA 3.0",
            homepage="https://yann.lecun.org/exdb/mnist/",
        ),
        Dataset(
            "gtsrb",
            "zoo_vision.data.gtsrb:GTSRB",
            "German traffic signs, 43 classes, from the publisher's folders or zip",
            license="for research",
            homepage="https://benchmark.ini.rub.de/gtsrb_dataset.html",
        ),
        Dataset(
            "medmnist",
            "zoo_vision.data.medmnist:MedMNIST",
            "A set of MedMNIST: medical images, from the publisher's npz file",
            license="CC BY 4.0; DermaMNIST CC BY-NC 4.0",
            homepage="https://medmnist.com",
        ),
        Dataset(
            "image-folder",
            "zoo_vision.data.image_folder:ImageFolder",
            "Your own images, one folder a class, any format Pillow reads",
            license="yours",
        ),
        Dataset(
            "webdataset",
            "zoo_vision.data.webdataset:WebDataset",
            "Your own images in tar files, as webdataset has them",
            license="yours",
        ),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("vision", "zoo_vision:recipes")]


@hookimpl
def zoo_checkpoints() -> list[Checkpoint]:
    return [
        Checkpoint(
            "mpcnn-digits",
            "zoo_vision:checkpoints/mpcnn-digits",
            "Max-pooling CNN on scikit-learn's digits",
        ),
        Checkpoint(
            "mpcnn-mnist",
            "zoo_vision:checkpoints/mpcnn-mnist",
            "The single column of the multi-column net, on all of MNIST's training images",
        ),
    ]
