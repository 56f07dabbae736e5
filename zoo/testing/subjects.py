"""The subjects of the checks: a plugin, and each of its entries with what builds it."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError, ZooError
from zoo.io.data_folder import data_folder
from zoo.plugin.declarations import conformance_arguments, conformance_exempt
from zoo.plugin.entries import Checkpoint, Dataset, ExportFormat, Model, Recipes
from zoo.plugin.protocols import Growing, HasDynamicTensors
from zoo.recipes.experiment import Experiment, build_model
from zoo.recipes.recipe import Recipe, read_recipe
from zoo.recipes.signatures import argument_names, build, missing_arguments
from zoo.registry.plugins import Plugin
from zoo.registry.registry import ResolvedModel, package_folder, registry
from zoo.testing.fitting import Fitted, fit, seed_all
from zoo.testing.gradients import Gradients
from zoo.testing.results import CheckFailed, Skip, describe
from zoo.testing.stages import BATCH_SIZE, with_quick_runs

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    from zoo.plugin.protocols import ZooLightningDataModule, ZooLightningModule

EXAMPLE_FACTS: dict[str, Any] = {
    "num_classes": 3,
    "label_names": ["a", "b", "c"],
    "in_channels": 1,
    "image_size": [32, 32],
    "mean": [0.5],
    "std": [0.5],
}
"""Facts for a model whose plugin has no data that is available."""


class Subject:
    """One entry under check.

    Attributes:
        kind: The kind of entry.
        name: Its name.
        exempt: Checks that it declares not to apply, with its reasons.
    """

    kind = ""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def exempt(self) -> Mapping[str, str]:
        return {}

    @cached_property
    def _scratch(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="zoo-check-")

    def folder(self, name: str) -> Path:
        """A new, empty folder that goes when the subject does."""
        self._scratch  # noqa: B018  (made on first use)
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._scratch.name))


class PluginSubject(Subject):
    """A plugin as a whole, and its entries as subjects."""

    kind = "plugin"

    def __init__(self, plugin: Plugin) -> None:
        super().__init__(plugin.name)
        self.plugin = plugin
        entries = dict.fromkeys(plugin.entries)  # a name given twice is one check's matter
        self.datasets = [DatasetSubject(e) for e in entries if isinstance(e, Dataset)]
        self.folders = [FolderSubject(e) for e in entries if isinstance(e, Recipes)]
        self.recipes = [
            RecipeSubject(self, f"{folder.name}/{path.stem}", path)
            for folder in self.folders
            for path in folder.files
        ]
        for each in self.datasets:
            each.recipes = self.recipes
        self.models = [ModelSubject(self, e) for e in entries if isinstance(e, Model)]
        self.formats = [FormatSubject(e) for e in entries if isinstance(e, ExportFormat)]
        self.checkpoints = [CheckpointSubject(e) for e in entries if isinstance(e, Checkpoint)]

    def subjects(self) -> Iterator[Subject]:
        """The plugin and all its entries; of a broken plugin itself alone."""
        yield self
        yield from self.models
        yield from self.datasets
        yield from self.folders
        yield from self.recipes
        yield from self.formats
        yield from self.checkpoints

    def dataset(self, name: str) -> DatasetSubject:
        """The dataset of that name, of this plugin or of another.

        Raises:
            UsageError: there is none.
        """
        own = [each for each in self.datasets if each.name == name]
        return own[0] if own else DatasetSubject(registry().dataset(name))


class ClassSubject(Subject):
    """An entry that names a class."""

    def __init__(self, entry: Model | Dataset) -> None:
        super().__init__(entry.name)
        self.entry = entry

    @cached_property
    def cls(self) -> type[Any]:
        """The class; a Skip if there is none, which is another check's matter."""
        try:
            return registry().load(self.entry)
        except (Exception, SystemExit) as error:  # third-party code may raise anything
            raise Skip("its class does not import, see class-exists") from error

    @property
    def exempt(self) -> Mapping[str, str]:
        try:
            declared: object = conformance_exempt(self.cls)  # of any type before it is checked
        except Skip:
            return {}
        return declared if isinstance(declared, Mapping) else {}

    @property
    def declared_arguments(self) -> dict[str, Any] | None:
        """The class's ``conformance_arguments``; None if it declares none."""
        declared: object = conformance_arguments(self.cls)  # of any type before it is checked
        return dict(declared) if isinstance(declared, Mapping) else None


class DatasetSubject(ClassSubject):
    """A dataset, to be built as often as a check needs a fresh one."""

    kind = "dataset"
    entry: Dataset
    recipes: Sequence[RecipeSubject] = ()
    """Those of its plugin, which have the arguments that it needs."""

    @property
    def root(self) -> Path:
        """Where its files are looked for."""
        return data_folder(self.name)

    def require(self) -> None:
        """Skip if its files are not available."""
        given = "root" in (self.declared_arguments or {})
        if not self.entry.embedded and not given and not self.root.exists():
            raise Skip(f"its data are not available: there is no {self.root} ($ZOO_DATA moves it)")

    def build(
        self, arguments: Mapping[str, Any] | None = None, seed: int = 0
    ) -> ZooLightningDataModule:
        """A fresh datamodule, prepared but not set up.

        Args:
            arguments: Its constructor arguments; the class's ``conformance_arguments`` without.
            seed: Its seed, where it takes one.
        """
        self.require()
        data = self.construct({**self.arguments(arguments), "seed": seed})
        data.prepare_data()
        return data

    def arguments(self, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Constructor arguments for a small run, without a seed.

        Args:
            arguments: Those of a recipe; what the class declares for the kit goes before them.
        """
        declared = self.declared_arguments or {}
        given = {**(arguments or ({} if declared else self._needed())), **declared}
        given.setdefault("root", str(self.root))
        # Small, but a batch size that was declared for the kit is left as it is.
        if "batch_size" not in declared:
            given["batch_size"] = BATCH_SIZE
        known = {key: value for key, value in given.items() if key in argument_names(self.cls)}
        return with_quick_runs(self.cls, known)

    def _needed(self) -> dict[str, Any]:
        """The arguments without a default, out of a recipe that names it."""
        needed = missing_arguments(self.cls, ["root"])
        for subject in self.recipes if needed else ():
            with contextlib.suppress(ZooError):  # the recipe's own checks tell
                recipe = read_recipe(subject.path)
                if recipe.data_name == self.name and set(needed) <= recipe.data.keys():
                    return {name: recipe.data[name] for name in needed}
        return {}

    def construct(self, arguments: Mapping[str, Any]) -> ZooLightningDataModule:
        """The datamodule of these arguments, those that it does not take left out."""
        names = argument_names(self.cls)
        known = {key: value for key, value in arguments.items() if key in names}
        data: ZooLightningDataModule = build(self.cls, known, f"dataset {self.name!r}", {})
        return data


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a model is built and what it is trained on.

    Attributes:
        found: Its entry, and what its name stands for.
        arguments: Its constructor arguments.
        facts: The facts of the data, or examples of facts.
        data: What it is trained on; None if there are no data.
        data_arguments: The dataset's constructor arguments.
    """

    found: ResolvedModel
    arguments: Mapping[str, Any]
    facts: Mapping[str, Any]
    data: DatasetSubject | None
    data_arguments: Mapping[str, Any]

    @property
    def experiment(self) -> Experiment:
        """The same as a checked recipe."""
        # A bundle names data that are registered, also where this model's are not at hand.
        others = registry().datasets.values()
        nothing = Dataset("no-data", "nothing:Nothing", "No data")
        entry = self.data.entry if self.data else next(iter(others), nothing)
        recipe = Recipe(
            f"conformance/{self.found.name.replace('/', '-')}",
            self.found.name,
            entry.name,
            model=self.arguments,
            data=self.data_arguments,
        )
        return Experiment(recipe, self.found, entry, self.facts)


class ModelSubject(ClassSubject):
    """A model, with the arguments and data that it is checked with.

    The arguments are the class's ``conformance_arguments`` if it declares any, otherwise those of
    a recipe of the plugin that names the model, otherwise the defaults; facts of the data fill in
    what they leave out. The data are those of a recipe that names the model, otherwise any of the
    plugin whose facts and batches fit: embedded ones first, then those found under ``ZOO_DATA``.
    """

    kind = "model"
    entry: Model

    def __init__(self, plugin: PluginSubject, entry: Model) -> None:
        super().__init__(entry)
        self._plugin = plugin
        self.gradients = Gradients()
        """What the first training reached."""

    @property
    def formats(self) -> list[str]:
        """The formats of ``zoo export`` that its plugin registers."""
        return [each.name for each in self._plugin.formats]

    def find_setting(self) -> Setting:
        """How to build it.

        Raises:
            Skip: there are no data to build it on.
            Exception: it cannot be built.
        """
        refused: list[str] = []
        absent: list[str] = []
        lacking = False  # a recipe's data are not there: that others do not fit is no fault
        for recipe, data in self._candidates():
            try:
                data.require()
                arguments = data.arguments(recipe.data if recipe else None)
                facts = dict(data.build(arguments).facts)
            except Skip as reason:
                absent.append(f"{data.name}: {reason}")
                lacking = lacking or recipe is not None
                continue
            setting = self._setting(recipe, facts, data, arguments)
            try:
                model = self._build(setting)
            except UsageError as error:
                refused.append(f"on {data.name!r}: {describe(error)}")
                continue
            if recipe or self._takes(model, data.build(arguments)):
                return setting
            absent.append(f"{data.name}: its batches are not the model's example_input")
        if refused and not lacking:
            raise CheckFailed("; ".join(refused))
        setting = self._setting(None, EXAMPLE_FACTS, None, {})
        try:
            self._build(setting)
        except UsageError as error:
            if absent:
                raise Skip(f"nothing to build it on ({'; '.join(absent)})") from error
            raise
        return setting

    @cached_property
    def setting(self) -> Setting:
        """How to build it; a Skip if it cannot be built, which is another check's matter."""
        try:
            return self.find_setting()
        except Skip:
            raise
        except (Exception, SystemExit) as error:
            raise Skip("it is not built, see builds") from error

    def build(self, seed: int = 0) -> ZooLightningModule:
        """A fresh model, initialized by ``seed``."""
        setting = self.setting
        seed_all(seed)
        return self._build(setting)

    def build_data(self, seed: int = 0) -> ZooLightningDataModule:
        """A fresh datamodule; a Skip if no data are available."""
        setting = self.setting
        if setting.data is None:
            raise Skip(
                "no data are available: register an embedded dataset that fits, or put a dataset "
                "of the plugin where ZOO_DATA points"
            )
        return setting.data.build(setting.data_arguments, seed)

    def train(self, seen: Gradients | None = None, **settings: Any) -> Fitted:
        """Two short epochs and a test, from scratch."""
        data = self.build_data()
        return fit(self.build(), data, self.folder("fit"), seen, **settings)

    @cached_property
    def unvalidated(self) -> Fitted | None:
        """The same without validation, once for all checks; None where it needs one."""
        try:
            return self.train(limit_val_batches=0)
        except Skip:
            raise
        except (Exception, SystemExit):  # noqa: BLE001  # third-party code
            return None

    @cached_property
    def first_training(self) -> Fitted | Exception | SystemExit:
        """The same, once for all checks, or what it raised."""
        try:
            return self.train(self.gradients)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # third-party code
            return error

    @property
    def trained(self) -> Fitted:
        """The same; a Skip if it failed, which is another check's matter."""
        result = self.first_training
        if isinstance(result, Skip):
            raise result
        if isinstance(result, BaseException):
            raise Skip("it does not train, see fits") from result
        return result

    def working(self) -> ZooLightningModule:
        """A model that can be asked for outputs, in evaluation mode: a fresh one, or the trained
        one where parts of the model come from its training alone, as the class declares."""
        model = self.build()
        if any(map(_comes_from_data, model.modules())):
            return self.trained.model.eval()
        return model.eval()

    def _setting(
        self,
        recipe: Recipe | None,
        facts: Mapping[str, Any],
        data: DatasetSubject | None,
        data_arguments: Mapping[str, Any],
    ) -> Setting:
        arguments = self.declared_arguments
        if arguments is None:
            arguments = dict(recipe.model) if recipe else {}
            fixed = registry().model(recipe.model_name).arguments if recipe else {}
        else:
            wildcard = self.entry.wildcard
            fixed = {wildcard: arguments.pop(wildcard)} if wildcard in arguments else {}
        if self.entry.wildcard and self.entry.wildcard not in fixed:
            raise CheckFailed(
                f"nothing says which of {self.name!r} to build: declare conformance_arguments = "
                f"{{{self.entry.wildcard!r}: ...}} on the class, or add a recipe"
            )
        name = self.name.replace("*", str(next(iter(fixed.values()), "")))
        arguments = with_quick_runs(self.cls, arguments)
        return Setting(
            ResolvedModel(self.entry, name, fixed), arguments, facts, data, data_arguments
        )

    def _build(self, setting: Setting) -> ZooLightningModule:
        return build_model(setting.found, setting.arguments, setting.facts)

    def _candidates(self) -> list[tuple[Recipe | None, DatasetSubject]]:
        named: list[tuple[Recipe | None, DatasetSubject]] = []
        for subject in self._plugin.recipes:
            try:
                recipe = read_recipe(subject.path)
                if registry().model(recipe.model_name).entry == self.entry:
                    named.append((recipe, self._plugin.dataset(recipe.data_name)))
            except ZooError:
                continue  # the recipe's own checks tell
        others = [(None, each) for each in self._plugin.datasets]
        return sorted([*named, *others], key=lambda c: (not c[1].entry.embedded, c[0] is None))

    @staticmethod
    def _takes(model: LightningModule, data: ZooLightningDataModule) -> bool:
        """Whether the data's inputs have the type and axes of the model's example."""
        import torch

        data.setup("fit")
        batch = next(iter(data.train_dataloader()))
        inputs = batch[0] if isinstance(batch, (list, tuple)) and batch else batch
        example: object = getattr(model, "example_input", None)  # its checks tell if it is lacking
        if not isinstance(inputs, torch.Tensor) or not isinstance(example, torch.Tensor):
            return True
        return inputs.dtype == example.dtype and inputs.ndim == example.ndim


def _comes_from_data(module: object) -> bool:
    """Whether tensors of a module get their shapes in training."""
    if isinstance(module, Growing):
        return True
    return isinstance(module, HasDynamicTensors) and bool(module.dynamic_tensors)


class FolderSubject(Subject):
    """A folder of recipes."""

    kind = "recipes"

    def __init__(self, entry: Recipes) -> None:
        super().__init__(entry.family)
        self.entry = entry

    @property
    def files(self) -> list[Path]:
        """Its recipes; none if it does not exist."""
        folder = package_folder(self.entry.folder)
        return sorted(folder.glob("*.yaml")) if folder else []


class RecipeSubject(Subject):
    """A recipe file."""

    kind = "recipe"

    def __init__(self, plugin: PluginSubject, name: str, path: Path) -> None:
        super().__init__(name)
        self.path = path
        self._plugin = plugin

    def read(self) -> Recipe:
        """The recipe under its registered name.

        Raises:
            UsageError: it cannot be read.
        """
        return dataclasses.replace(read_recipe(self.path), name=self.name)

    @cached_property
    def recipe(self) -> Recipe:
        """The same; a Skip if it cannot be read, which is another check's matter."""
        try:
            return self.read()
        except ZooError as error:
            raise Skip("it cannot be read, see recipe-keys") from error

    @property
    def data(self) -> DatasetSubject:
        """Its dataset.

        Raises:
            UsageError: there is none of that name.
        """
        return self._plugin.dataset(self.recipe.data_name)

    @property
    def exempt(self) -> Mapping[str, str]:
        """Those that its model or its dataset declares."""
        try:
            model = registry().load(registry().model(self.recipe.model_name).entry)
            return {**self.data.exempt, **conformance_exempt(model)}
        except (Skip, ZooError):
            return {}


class FormatSubject(Subject):
    """A format of ``zoo export``."""

    kind = "export format"

    def __init__(self, entry: ExportFormat) -> None:
        super().__init__(entry.name)
        self.entry = entry


class CheckpointSubject(Subject):
    """A registered bundle."""

    kind = "checkpoint"

    def __init__(self, entry: Checkpoint) -> None:
        super().__init__(entry.name)
        self.entry = entry
