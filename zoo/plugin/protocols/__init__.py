"""The members that the zoo asks of a model and of a dataset, and those that they may have.

Nothing has to be inherited: a LightningModule with the members of ``ZooModule`` and a
LightningDataModule with those of ``ZooDataModule`` are enough; ``zoo.testing`` checks them. Every
other protocol is optional, and says what the core does without it. The core asks an object by
``isinstance`` and a class by ``offers``; attributes that have a default are read by the functions
of ``zoo.plugin.declarations``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.plugin.protocols.bundling import (
    ArgumentUpgrader,
    HasConstructorArguments,
    HasPreprocessing,
    HasTaskArguments,
    HasWeightsLicense,
    InputChannelAdapter,
    NotExportable,
    OnnxScripted,
    RealInputSource,
)
from zoo.plugin.protocols.conformance import (
    ExampleFileWriter,
    HasConformanceArguments,
    HasConformanceExempt,
)
from zoo.plugin.protocols.datasets import (
    DataDescriber,
    Facts,
    Foldable,
    HasFixedTestBatches,
    HasKeepBest,
    HasPlan,
    HeadStarter,
    NotFoldable,
    PlotCaptioner,
    ZooDataModule,
)
from zoo.plugin.protocols.ensembles import (
    DisagreementWriter,
    EnsembleMember,
    ProbabilityTester,
    ViewAverager,
)
from zoo.plugin.protocols.models import (
    HasHead,
    PlotDrawer,
    ZooModule,
)
from zoo.plugin.protocols.offers import (
    offers,
)
from zoo.plugin.protocols.predicting import (
    FileGrouper,
    PredictionDrawer,
    PredictionWriter,
    Predictor,
    SamplePredictor,
)
from zoo.plugin.protocols.producing import (
    HasRowName,
    Player,
    Producer,
)
from zoo.plugin.protocols.training import (
    AcceleratorChooser,
    Growing,
    HasCounters,
    HasDynamicTensors,
    HasFixedShapes,
    HasMetricNames,
    HasMonitor,
    HasTrainerDefaults,
)

if TYPE_CHECKING:
    from zoo.plugin.protocols.datasets import ZooLightningDataModule as ZooLightningDataModule
    from zoo.plugin.protocols.models import ZooLightningModule as ZooLightningModule

__all__ = [
    "AcceleratorChooser",
    "ArgumentUpgrader",
    "DataDescriber",
    "DisagreementWriter",
    "EnsembleMember",
    "ExampleFileWriter",
    "Facts",
    "FileGrouper",
    "Foldable",
    "Growing",
    "HasConformanceArguments",
    "HasConformanceExempt",
    "HasConstructorArguments",
    "HasCounters",
    "HasDynamicTensors",
    "HasFixedShapes",
    "HasFixedTestBatches",
    "HasHead",
    "HasKeepBest",
    "HasMetricNames",
    "HasMonitor",
    "HasPlan",
    "HasPreprocessing",
    "HasRowName",
    "HasTaskArguments",
    "HasTrainerDefaults",
    "HasWeightsLicense",
    "HeadStarter",
    "InputChannelAdapter",
    "NotExportable",
    "NotFoldable",
    "OnnxScripted",
    "Player",
    "PlotCaptioner",
    "PlotDrawer",
    "PredictionDrawer",
    "PredictionWriter",
    "Predictor",
    "ProbabilityTester",
    "Producer",
    "RealInputSource",
    "SamplePredictor",
    "ViewAverager",
    "ZooDataModule",
    "ZooModule",
    "offers",
]
