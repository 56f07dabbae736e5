"""Attributes that a class may declare, each with what holds where it declares nothing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.plugin.protocols import (
    ArgumentUpgrader,
    HasConformanceArguments,
    HasConformanceExempt,
    HasConstructorArguments,
    HasFixedShapes,
    HasFixedTestBatches,
    HasHead,
    HasKeepBest,
    HasPlan,
    HasPreprocessing,
    HasRowName,
    HasTaskArguments,
    HasTrainerDefaults,
    HasWeightsLicense,
    NotExportable,
    NotFoldable,
    Player,
    Predictor,
    Producer,
    offers,
)

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

_TASK = ("num_classes", "label_names")


def task_arguments(model: type) -> tuple[str, ...]:
    """Constructor arguments that a new task brings; all others stay those of the bundle."""
    return model.task_arguments if isinstance(model, HasTaskArguments) else _TASK


def not_exportable(model: object) -> str:
    """The reason why a model, or a model class, cannot be exported; empty if it can."""
    return model.not_exportable if isinstance(model, NotExportable) else ""


def preprocessing(model: object) -> Mapping[str, Any]:
    """A model's description of its preprocessing, as JSON values."""
    return model.preprocessing if isinstance(model, HasPreprocessing) else {}


def constructor_arguments(model: LightningModule) -> dict[str, Any]:
    """The arguments that a model was built from: they alone rebuild it."""
    if isinstance(model, HasConstructorArguments):
        return dict(model.constructor_arguments)
    return dict(model.hparams)


def trainer_defaults(model: type) -> dict[str, Any]:
    """Arguments of the Trainer that hold where a recipe says nothing."""
    return dict(model.trainer_defaults) if isinstance(model, HasTrainerDefaults) else {}


def fixed_shapes(model: object) -> bool:
    """Whether a model sees tensors of the same few shapes in all training steps."""
    return model.fixed_shapes if isinstance(model, HasFixedShapes) else False


def weights_license(model: object) -> str:
    """The terms of a model's weights."""
    return model.weights_license if isinstance(model, HasWeightsLicense) else "as the data's"


def head_of(model: object) -> tuple[str, ...]:
    """Names of the submodules that a new task replaces; none of a model that has no head."""
    return tuple(model.head) if isinstance(model, HasHead) else ()


def may_have_head(model: type) -> bool:
    """Whether the instances of a model class have a head, as far as the class tells."""
    head = inspect.getattr_static(model, "head", ())
    if not isinstance(head, property) or head.fget is None:
        return bool(head)
    try:
        return bool(head.fget(object.__new__(model)))
    except Exception:  # noqa: BLE001  # it depends on the constructor's arguments
        return True


def producing_method(model: object) -> str:
    """The method by which a model, or a model's class, produces: ``produce``, or ``play`` of one
    that acts in an environment; empty if it has none."""
    for method, protocol in (("produce", Producer), ("play", Player)):
        if offers(model, protocol) if isinstance(model, type) else isinstance(model, protocol):
            return method
    return ""


def abilities(model: object) -> list[str]:
    """What a model, or a model's class, can do once it is trained: ``produce`` or ``predict``,
    ``finetune``, ``export``."""
    cls = model if isinstance(model, type) else type(model)
    found = []
    if producing_method(model):
        found.append("produce")
    elif offers(cls, Predictor):
        found.append("predict")
    if may_have_head(cls) if cls is model else head_of(model):
        found.append("finetune")
    return found if not_exportable(model) else [*found, "export"]


def row_name(model: object, default: str) -> str:
    """What one thing that a model produces is called."""
    return model.row_name if isinstance(model, HasRowName) else default


def keeps_best(data: object) -> bool:
    """Whether the best epoch of a training on these data is kept."""
    return data.keep_best if isinstance(data, HasKeepBest) else False


def planned_arguments(data: object) -> dict[str, Any]:
    """The arguments that a datamodule has chosen by its data; none of most."""
    return dict(data.planned_arguments) if isinstance(data, HasPlan) else {}


def not_foldable(data: object) -> str:
    """The reason why a dataset, or its class, cannot be divided into folds; empty if it says
    none."""
    return data.not_foldable if isinstance(data, NotFoldable) else ""


def fixed_test_batches(data: object) -> bool:
    """Whether the test batches of a dataset are the same whatever the fold."""
    return data.fixed_test_batches if isinstance(data, HasFixedTestBatches) else False


def conformance_arguments(cls: type) -> Mapping[str, Any] | None:
    """Constructor arguments for the conformance kit; None where none are declared."""
    return cls.conformance_arguments if isinstance(cls, HasConformanceArguments) else None


def conformance_exempt(cls: type) -> Mapping[str, str]:
    """Checks that do not apply to a class, each with the reason."""
    return cls.conformance_exempt if isinstance(cls, HasConformanceExempt) else {}


def current_arguments(cls: type, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments out of a bundle or a run folder, as the class names them now."""
    given = dict(saved)
    return cls.upgrade_arguments(given) if isinstance(cls, ArgumentUpgrader) else given
