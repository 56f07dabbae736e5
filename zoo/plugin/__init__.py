"""The public door: all that a plugin imports.

    from zoo.plugin import Dataset, Model, hookimpl          # in plugin.py: loads no torch
    from zoo.plugin import ResumableLoader, UsageError, plots  # in models and datasets

The names of ``__all__`` are the plugin API; docs/plugin-api.md says what keeps and what raises
its number. Those that need torch are loaded on first use. Everything else of the core is its own
and may change at any time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo.errors import MissingDependencyError, UsageError, ZooError, install_hint, nearest
from zoo.plugin.arguments import above, at_least, fractions, one_of, require, within
from zoo.plugin.entries import (
    BundleFormat,
    Checkpoint,
    Dataset,
    Entry,
    ExportFormat,
    Model,
    Recipes,
)
from zoo.plugin.folds import Fold, FoldSamples, OtherDataError
from zoo.plugin.foreign import ForeignBundle
from zoo.plugin.hooks import ENTRY_POINT_GROUP, PLUGIN_API, Deprecated, hookimpl
from zoo.plugin.protocols import (
    AcceleratorChooser,
    ArgumentUpgrader,
    DataDescriber,
    DisagreementWriter,
    EnsembleMember,
    ExampleFileWriter,
    Facts,
    FileGrouper,
    Foldable,
    Growing,
    HasConformanceArguments,
    HasConformanceExempt,
    HasConstructorArguments,
    HasCounters,
    HasDynamicTensors,
    HasFixedShapes,
    HasFixedTestBatches,
    HasHead,
    HasKeepBest,
    HasMetricNames,
    HasMonitor,
    HasPlan,
    HasPreprocessing,
    HasRowName,
    HasTaskArguments,
    HasTrainerDefaults,
    HasWeightsLicense,
    HeadStarter,
    InputChannelAdapter,
    NotExportable,
    NotFoldable,
    OnnxScripted,
    Player,
    PlotCaptioner,
    PlotDrawer,
    PredictionDrawer,
    PredictionWriter,
    Predictor,
    ProbabilityTester,
    Producer,
    RealInputSource,
    SamplePredictor,
    ViewAverager,
    ZooDataModule,
    ZooModule,
)
from zoo.plugin.references import Reference, trained_model
from zoo.plugin.renaming import rename_keys
from zoo.plugin.trust import require_trusted_module

if TYPE_CHECKING:
    from zoo import plots as plots
    from zoo.io.atomic import write_atomically as write_atomically
    from zoo.io.hub_reach import hub_or_cache as hub_or_cache
    from zoo.io.rank_zero import is_rank_zero as is_rank_zero
    from zoo.io.rank_zero import rank_zero_print as rank_zero_print
    from zoo.io.weights import in_head as in_head
    from zoo.io.weights import load_weights as load_weights
    from zoo.io.weights import read_tensors as read_tensors
    from zoo.plugin import optim as optim
    from zoo.plugin._lightning_internals import attached_trainer as attached_trainer
    from zoo.plugin._lightning_internals import training_batches as training_batches
    from zoo.plugin.adapted import AdaptedDataModule as AdaptedDataModule
    from zoo.plugin.adapted import AdaptedModule as AdaptedModule
    from zoo.plugin.cuda_graphs import CudaGraphs as CudaGraphs
    from zoo.plugin.datamodule import BaseDataModule as BaseDataModule
    from zoo.plugin.device_mean import DeviceMean as DeviceMean
    from zoo.plugin.endless import EndlessDataset as EndlessDataset
    from zoo.plugin.endless import GeneratedSamples as GeneratedSamples
    from zoo.plugin.loaders import EpochSampler as EpochSampler
    from zoo.plugin.loaders import ResumableLoader as ResumableLoader
    from zoo.plugin.parts import EmptyPartError as EmptyPartError
    from zoo.plugin.parts import Part as Part
    from zoo.plugin.parts import has_part as has_part
    from zoo.plugin.steps import NumberedSteps as NumberedSteps
    from zoo.plugin.stopping import Budget as Budget
    from zoo.plugin.stopping import StopWhenSolved as StopWhenSolved

_HOMES = {
    "AdaptedDataModule": "zoo.plugin.adapted",
    "AdaptedModule": "zoo.plugin.adapted",
    "BaseDataModule": "zoo.plugin.datamodule",
    "Budget": "zoo.plugin.stopping",
    "CudaGraphs": "zoo.plugin.cuda_graphs",
    "DeviceMean": "zoo.plugin.device_mean",
    "EmptyPartError": "zoo.plugin.parts",
    "EndlessDataset": "zoo.plugin.endless",
    "EpochSampler": "zoo.plugin.loaders",
    "GeneratedSamples": "zoo.plugin.endless",
    "NumberedSteps": "zoo.plugin.steps",
    "Part": "zoo.plugin.parts",
    "ResumableLoader": "zoo.plugin.loaders",
    "StopWhenSolved": "zoo.plugin.stopping",
    "attached_trainer": "zoo.plugin._lightning_internals",
    "has_part": "zoo.plugin.parts",
    "hub_or_cache": "zoo.io.hub_reach",
    "in_head": "zoo.io.weights",
    "is_rank_zero": "zoo.io.rank_zero",
    "load_weights": "zoo.io.weights",
    "rank_zero_print": "zoo.io.rank_zero",
    "read_tensors": "zoo.io.weights",
    "training_batches": "zoo.plugin._lightning_internals",
    "write_atomically": "zoo.io.atomic",
}
_MODULES = {"optim": "zoo.plugin.optim", "plots": "zoo.plots"}

__all__ = [
    "ENTRY_POINT_GROUP",
    "PLUGIN_API",
    "AcceleratorChooser",
    "ArgumentUpgrader",
    "BundleFormat",
    "Checkpoint",
    "CudaGraphs",
    "DataDescriber",
    "Dataset",
    "Deprecated",
    "DeviceMean",
    "DisagreementWriter",
    "EnsembleMember",
    "Entry",
    "ExampleFileWriter",
    "ExportFormat",
    "Facts",
    "ForeignBundle",
    "FileGrouper",
    "Fold",
    "FoldSamples",
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
    "MissingDependencyError",
    "Model",
    "NotExportable",
    "OnnxScripted",
    "NotFoldable",
    "OtherDataError",
    "Player",
    "PlotCaptioner",
    "PlotDrawer",
    "PredictionDrawer",
    "PredictionWriter",
    "Predictor",
    "ProbabilityTester",
    "Producer",
    "RealInputSource",
    "Recipes",
    "Reference",
    "SamplePredictor",
    "UsageError",
    "ViewAverager",
    "ZooDataModule",
    "ZooError",
    "ZooModule",
    "above",
    "at_least",
    "fractions",
    "hookimpl",
    "install_hint",
    "nearest",
    "one_of",
    "rename_keys",
    "require",
    "require_trusted_module",
    "trained_model",
    "within",
    *_HOMES,
    *_MODULES,
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'zoo.plugin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
