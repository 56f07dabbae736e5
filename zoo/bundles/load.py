"""``zoo.load``: from a reference to a trained module."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from torch import Tensor

from zoo.bundles.bundle import WEIGHTS, Bundle, read_bundle
from zoo.bundles.ensemble import Ensemble, is_ensemble, members_of
from zoo.bundles.outline import require_fitting
from zoo.errors import UsageError, ZooError, install_hint
from zoo.io.failures import one_line
from zoo.io.weights import is_state_dict, load_weights, read_pickle, read_tensors
from zoo.io.weights_header import stated_tensors
from zoo.plugin.declarations import current_arguments
from zoo.plugin.references import trained_models_from
from zoo.plugin.trust import values_from
from zoo.recipes.experiment import build_model
from zoo.recipes.recipe import Recipe, make_recipe
from zoo.recipes.trust import bundle_settings, refuse_classes_of_bundle
from zoo.registry.registry import ResolvedModel, extras, registry
from zoo.runs.run import Run

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    from zoo.plugin.protocols import ZooLightningModule


def load(reference: str | Path | Sequence[str | Path]) -> LightningModule:
    """The trained module that a reference names, in evaluation mode, on the CPU.

    Args:
        reference: A run folder, a bundle folder, ``recipe:NAME`` for the newest finished run of a
            recipe, a registered checkpoint's name,
            ``hf://owner/repo[@revision]``, ``https://.../bundle.json#sha256=...``, or a Lightning
            checkpoint (``.ckpt``) inside a run folder. A group of runs, such as the folds of a
            cross-validation, or several references, are an ``Ensemble``.

    Raises:
        UsageError: there is no such bundle, it was changed, or its plugin is not installed; or
            several models have not the same classes.
        ZooError: it cannot be downloaded.
    """
    if is_ensemble(reference):
        members = members_of(reference)
        return Ensemble([str(each) for each in members], [_load_one(each) for each in members])
    return _load_one(reference if isinstance(reference, (str, Path)) else reference[0])


def _load_one(reference: str | Path) -> ZooLightningModule:
    if str(reference).endswith(".ckpt"):
        return _load_checkpoint(Path(reference))
    return rebuild(read_bundle(reference))


def rebuild(bundle: Bundle) -> ZooLightningModule:
    """The bundle's module with its weights, in evaluation mode, on the CPU.

    Raises:
        UsageError: its plugin is not installed, or the weights do not fit.
    """
    found, arguments = checked_arguments(bundle)
    with trained_models_from(_described_in(bundle)):
        model = _build(found, arguments, "the bundle", bundle.path)
    load_weights(model, read_tensors(bundle.path / WEIGHTS), source=str(bundle.path))
    return model.eval()


def checked_arguments(bundle: Bundle) -> tuple[ResolvedModel, dict[str, Any]]:
    """The registered model of a bundle and its constructor's arguments: values that are no code,
    under today's names, and of a model that the bundle's weights fit.

    No memory is taken for the model. What it is to be told of the weights before it is built, such
    as a shape that they alone know, can be taken from ``stated_tensors`` here.

    Raises:
        UsageError: its plugin is not installed, or the arguments are not such.
    """
    found = find_model(bundle)
    weights = stated_tensors(bundle.path / WEIGHTS)
    arguments = bundle.content["model"]["arguments"]
    with trained_models_from(_described_in(bundle)):
        return found, _checked(found, arguments, weights, "the bundle", bundle.path)


def _described_in(bundle: Bundle) -> Callable[[str], LightningModule]:
    return _described(bundle.content.get("references", {}), f"the bundle {bundle.path}")


def _described(notes: Mapping[str, Any], source: str) -> Callable[[str], LightningModule]:
    """What builds trained models as a bundle or a run describes them: they have no weights yet,
    which come with those of the model that holds them."""

    def build(reference: str) -> LightningModule:
        if reference not in notes:
            raise UsageError(
                f"{source} does not describe the trained model {reference!r}: a model asks for "
                "those alone that its arguments of the type zoo.plugin.Reference name"
            )
        note = notes[reference]
        found = registry().model(note["model"]["name"])
        cls = registry().load(found.entry)
        arguments = current_arguments(cls, note["model"]["arguments"])
        refuse_classes_of_bundle(cls, arguments, source)
        with trained_models_from(_described(note["references"], source)):
            return build_model(found, arguments, {}).eval()

    return build


def _checked(
    found: ResolvedModel,
    saved: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    kind: str,
    path: Path,
) -> dict[str, Any]:
    cls = registry().load(found.entry)
    with _arguments_of(found, kind, path):
        arguments = current_arguments(cls, saved)
        refuse_classes_of_bundle(cls, arguments, f"{kind} {path}")
        require_fitting(found, arguments, weights, str(path))
    return arguments


def _build(
    found: ResolvedModel, arguments: Mapping[str, Any], kind: str, path: Path
) -> ZooLightningModule:
    with _arguments_of(found, kind, path):
        return build_model(found, arguments, {})


@contextlib.contextmanager
def _arguments_of(found: ResolvedModel, kind: str, path: Path) -> Iterator[None]:
    """While a class is given arguments from elsewhere, which make it raise errors of any kind: tell
    whose they are."""
    try:
        with values_from(f"{kind} {path}"):
            yield
    except ZooError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{kind} {path}: {error}") from error
    except Exception as error:
        raise UsageError(
            f"{kind} {path} does not build its {found.name!r} ({type(error).__name__}: "
            f"{one_line(error)}): its arguments are damaged, or of another version of the plugin; "
            "fetch it again"
        ) from error


def bundled_recipe(bundle: Bundle) -> Recipe:
    """The recipe that a bundle was trained by, with plain Trainer settings alone.

    Raises:
        UsageError: it is not of a recipe's form, or its arguments name code.
    """
    source = f"the bundle {bundle.path}"
    content = {key: value for key, value in bundle.recipe.items() if key != "name"}
    recipe = make_recipe(content, bundle.recipe["name"])
    data = registry().load(registry().dataset(recipe.data_name))
    model = registry().load(registry().model(recipe.model_name).entry)
    refuse_classes_of_bundle(data, recipe.data, source)
    refuse_classes_of_bundle(model, recipe.model, source)
    trainer, _ = bundle_settings(recipe.trainer)
    return replace(recipe, trainer=trainer, source=source)


def find_model(bundle: Bundle) -> ResolvedModel:
    """The registered model of a bundle.

    Raises:
        UsageError: no installed plugin registers it; the message names the extra to install.
    """
    plugin = bundle.content["plugin"]
    if plugin["name"] not in {each.name for each in registry().plugins}:
        known = {distribution: extra for extra, distribution in extras().items()}
        extra = known.get(plugin["distribution"])
        source = install_hint(f"zoo[{extra}]") if extra else "install it from its author's source"
        raise UsageError(
            f"the bundle {bundle.path} is a {bundle.model_name!r} of {plugin['distribution']} "
            f"{plugin['version']}, which is not installed: {source}"
        )
    return registry().model(bundle.model_name)


def _load_checkpoint(path: Path) -> ZooLightningModule:
    if not path.is_file():
        raise UsageError(f"there is no checkpoint {str(path)!r}")
    content = read_pickle(path)
    if not _is_checkpoint(content):
        raise UsageError(
            f"{path} is not a Lightning checkpoint of this zoo; to start from its weights alone "
            "use read_tensors and load_weights of zoo.plugin"
        )
    run = Run(path.parent.parent)
    if not run.recipe_file.is_file():
        raise UsageError(
            f"{path} is not inside a run folder, whose recipe.yaml would name its model"
        )
    found = registry().model(run.recipe.model_name)
    arguments = {
        key: value
        for key, value in content.get("hyper_parameters", {}).items()
        if key not in found.arguments
    }
    weights = content["state_dict"]
    notes = run.environment.get("references", {})
    with trained_models_from(_described(notes, f"the run {run.path}")):
        arguments = _checked(found, arguments, weights, "the checkpoint", path)
        model = _build(found, arguments, "the checkpoint", path)
    load_weights(model, weights, source=str(path))
    return model.eval()


def _is_checkpoint(content: object) -> TypeGuard[dict[str, Any]]:
    return (
        isinstance(content, dict)
        and "pytorch-lightning_version" in content
        and isinstance(content.get("hyper_parameters", {}), Mapping)  # missing if there are none
        and is_state_dict(content.get("state_dict"))
    )
