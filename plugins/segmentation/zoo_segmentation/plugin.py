"""What this plugin registers."""

from zoo.plugin import BundleFormat, Checkpoint, Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1

_PYRAMID = (
    "Stollenga, Byeon, Liwicki, Schmidhuber: Parallel Multi-Dimensional LSTM, With Application to "
    "Fast Biomedical Volumetric Image Segmentation, NIPS 2015 (arXiv:1506.07452)"
)


@hookimpl
def zoo_models() -> list[Model]:
    return [
        Model(
            "pyramid-lstm",
            "zoo_segmentation.pyramid_lstm:PyramidLSTMSegmenter",
            "PyraMiD-LSTM: convolutional LSTMs along every axis and sense, summed; the paper's net",
            paper=_PYRAMID,
            task="image-segmentation",
        ),
        Model(
            "pyramid-lstm-small",
            "zoo_segmentation.pyramid_lstm:SmallPyramidLSTMSegmenter",
            "PyraMiD-LSTM of a size that trains on a CPU",
            paper=_PYRAMID,
            task="image-segmentation",
        ),
        Model(
            "md-lstm",
            "zoo_segmentation.md_lstm:MDLSTMSegmenter",
            "Multi-dimensional LSTM in four directions, slice by slice",
            paper="Graves, Schmidhuber: Offline Handwriting Recognition with Multidimensional "
            "Recurrent Neural Networks, NIPS 2008",
            task="image-segmentation",
        ),
        Model(
            "monai/*",
            "zoo_segmentation.monai_nets:MonaiSegmenter",
            "A segmentation net of MONAI, by its class name: UNet, SegResNet, DynUNet, SwinUNETR",
            paper="MONAI Consortium: MONAI, arXiv:2211.02701",
            wildcard="architecture",
            task="image-segmentation",
        ),
    ]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [
        Dataset(
            "phantom",
            "zoo_segmentation.data.phantom:Phantom",
            "Generated brain-like volumes with several tissues, for demo and tests",
            license="generated; no restrictions",
            embedded=True,
        ),
        Dataset(
            "decathlon",
            "zoo_segmentation.data.decathlon:Decathlon",
            "Any task folder of the Medical Segmentation Decathlon",
            license="CC BY-SA 4.0",
            homepage="http://medicaldecathlon.com",
        ),
        Dataset(
            "isbi2012",
            "zoo_segmentation.data.isbi2012:ISBI2012",
            "Neuronal membranes in electron microscopy slices, ISBI 2012 challenge",
            license="research, non-commercial",
            homepage="https://imagej.net/events/isbi-2012-segmentation-challenge",
        ),
        Dataset(
            "mrbrains",
            "zoo_segmentation.data.mrbrains:MRBrainS",
            "Brain tissues in 3 T MR volumes, MRBrainS13 and MRBrainS18",
            license="see the deposit's terms; not to be redistributed",
            homepage="https://doi.org/10.34894/645ZIN",
        ),
        Dataset(
            "volume-folder",
            "zoo_segmentation.data.volume_folder:VolumeFolder",
            "Your own NIfTI images and labels",
            license="yours",
        ),
    ]


@hookimpl
def zoo_recipes() -> list[Recipes]:
    return [Recipes("segmentation", "zoo_segmentation:recipes")]


@hookimpl
def zoo_checkpoints() -> list[Checkpoint]:
    return [
        Checkpoint(
            "pyramid-lstm-hippocampus",
            "zoo_segmentation:checkpoints/pyramid-lstm-hippocampus",
            "A small PyraMiD-LSTM on the hippocampus of the Medical Segmentation Decathlon",
        )
    ]


@hookimpl
def zoo_bundle_formats() -> list[BundleFormat]:
    return [
        BundleFormat(
            "monai-bundle",
            "configs/metadata.json",
            "zoo_segmentation.monai_bundle:read_monai_bundle",
            "MONAI bundles of segmentation nets, a folder or a zip",
        )
    ]
