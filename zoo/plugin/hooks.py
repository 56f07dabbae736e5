"""The hooks by which a plugin tells the zoo what it has.

A plugin is a module named by an entry point of the group ``zoo``. It declares
``ZOO_PLUGIN_API = 1`` and implements any of the hooks below. The module must stay cheap to
import: no torch, no lightning, no numpy.
"""

from __future__ import annotations

import pluggy

from zoo.plugin.entries import BundleFormat, Checkpoint, Dataset, ExportFormat, Model, Recipes

ENTRY_POINT_GROUP = "zoo"
PLUGIN_API = 1
"""Raised only when a hook is removed or changes its meaning; new hooks and new optional
fields of entries keep it."""


class Deprecated(DeprecationWarning):
    """A form that the next API removes: ``hookspec(warn_on_impl=Deprecated(...))``, or warned of
    by an entry's ``__post_init__``. ``zoo doctor`` shows the text, which says what to use
    instead."""


hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")


@hookspec
def zoo_models() -> list[Model]:  # type: ignore[empty-body]
    """Models of this plugin."""


@hookspec
def zoo_datasets() -> list[Dataset]:  # type: ignore[empty-body]
    """Datasets of this plugin."""


@hookspec
def zoo_recipes() -> list[Recipes]:  # type: ignore[empty-body]
    """Recipe folders of this plugin."""


@hookspec
def zoo_checkpoints() -> list[Checkpoint]:  # type: ignore[empty-body]
    """Trained bundles of this plugin."""


@hookspec
def zoo_export_formats() -> list[ExportFormat]:  # type: ignore[empty-body]
    """Formats of ``zoo export`` of this plugin."""


@hookspec
def zoo_bundle_formats() -> list[BundleFormat]:  # type: ignore[empty-body]
    """Bundles of other libraries that this plugin reads."""
