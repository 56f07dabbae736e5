"""Bases that go in front of other people's LightningModules and LightningDataModules.

    class Net(AdaptedModule, TheirModule): ...
    class Data(AdaptedDataModule, TheirDataModule): ...

The classes behind them stay as they are. What they lack is written as attributes of the class in
front: ``metric_names``, ``trainer_defaults``, ``batch_keys``, and an ``__init__`` where theirs
takes objects or says no types.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)

from zoo.plugin.arguments import one_of
from zoo.plugin.datamodule import PART_NAMES
from zoo.plugin.loaders import ResumableLoader
from zoo.plugin.parts import EmptyPartError
from zoo.plugin.protocols import Facts
from zoo.plugin.streams import ResumableStream

_HYPERPARAMETERS = "hyper_parameters"
"""Where Lightning keeps a module's ``hparams`` in a checkpoint."""


class AdaptedModule(LightningModule):
    """Base to put in front of a LightningModule that was written without the zoo.

    The arguments of the whole class's constructor are kept as those that rebuild it, whatever the
    module behind stores in its ``hparams``, objects included; checkpoints and bundles hold them
    alone. (Where both constructors have an argument of one name, Lightning keeps that of the class
    in front in ``hparams``: an argument that an object is made of gets another name than the
    object.) ``forward`` is exported and shown with Lightning's own ``example_input_array`` where
    the module sets that.
    """

    head: tuple[str, ...] = ()
    """As of ``ZooModule``: the submodules that a new task replaces; () cannot be fine-tuned."""
    batch_keys: ClassVar[tuple[str, ...]] = ()
    """The keys under which the module's steps look their batch up, where the data give tuples; in
    the order of these. Without, a batch is handed on as it is."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        module = super().__new__(cls)
        given = inspect.signature(cls.__init__).bind_partial(module, *args, **kwargs)
        given.apply_defaults()
        self_name, *_ = given.signature.parameters
        found: dict[str, Any] = {}
        for name, value in given.arguments.items():
            kind = given.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                found |= value
            elif kind is not inspect.Parameter.VAR_POSITIONAL and name != self_name:
                found[name] = value
        vars(module)["_constructor_arguments"] = found
        return module

    @property
    def constructor_arguments(self) -> Mapping[str, Any]:
        """The arguments that this module was built from."""
        found: dict[str, Any] = vars(self)["_constructor_arguments"]
        return found

    @property
    def example_input(self) -> Any:
        """Lightning's ``example_input_array``, of which the first where there are several.

        Raises:
            AttributeError: the module does not set it: set it, or write ``example_input``.
        """
        example: Any = self.example_input_array
        if isinstance(example, Mapping):
            example = tuple(example.values())
        if isinstance(example, tuple) and example:
            example = example[0]
        if example is None:
            raise AttributeError("neither example_input nor example_input_array is set")
        return example

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """The batch under ``batch_keys``."""
        if self.batch_keys and isinstance(batch, (list, tuple)):
            batch = dict(zip(self.batch_keys, batch, strict=True))
        return super().on_before_batch_transfer(batch, dataloader_idx)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the constructor's arguments in place of the module's ``hparams``, which may hold
        objects that no checkpoint can be read with."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[_HYPERPARAMETERS] = dict(self.constructor_arguments)


class AdaptedDataModule(LightningDataModule):
    """Base to put in front of a LightningDataModule that was written without the zoo.

    Its shuffled training loader becomes a ``ResumableLoader`` of the same samples, whose order
    depends on ``self.seed`` and the epoch alone. Parts that the class behind does not have are
    empty. With ``split="all"`` the samples of all its parts, as it gives them, are the test part.
    """

    seed: int = 0
    """Seed of the training order; an ``__init__`` that takes ``seed`` sets it."""
    split: str = "standard"
    """``standard`` or ``all``; an ``__init__`` that takes ``split`` sets it."""

    @property
    def facts(self) -> Facts:
        """What the data know under the names of model arguments; nothing, unless written."""
        return {}

    def train_dataloader(self) -> Any:
        """The training loader of the class behind, so that it can be resumed.

        Raises:
            EmptyPartError: everything is test data.
        """
        one_of("split", self.split, ("standard", "all"))
        if self.split == "all":
            raise EmptyPartError("with split='all' everything is test data: use split='standard'")
        return resumable(super().train_dataloader(), self.seed)

    def val_dataloader(self) -> Any:
        """The validation loader of the class behind; an empty list if it has none."""
        wanted = self.split == "standard" and self._has("val_dataloader")
        return super().val_dataloader() if wanted else []

    def test_dataloader(self) -> Any:
        """The test loader of the class behind, an empty list if it has none; or all its parts."""
        one_of("split", self.split, ("standard", "all"))
        if self.split == "standard":
            return super().test_dataloader() if self._has("test_dataloader") else []
        self.setup("fit")
        self.setup("test")
        behind = super()
        names = [name for part in PART_NAMES if self._has(name := f"{part}_dataloader")]
        loaders = [getattr(behind, name)() for name in names]
        return DataLoader(
            ConcatDataset([loader.dataset for loader in loaders]),
            batch_size=loaders[-1].batch_size,
            num_workers=loaders[-1].num_workers,
            collate_fn=loaders[-1].collate_fn,
        )

    def _has(self, name: str) -> bool:
        behind = getattr(super(), name).__func__
        return behind is not getattr(LightningDataModule, name)


def resumable(loader: Any, seed: int = 0) -> Any:
    """The same loader with an order that depends on seed and epoch alone.

    Args:
        loader: A DataLoader with torch's own order, shuffled or not, or of a stream, which is begun
            again on a resume and its batches passed over. Anything else (samplers and batch
            samplers of one's own, several loaders) is returned as it is: what it draws is its own
            matter, and the conformance kit's check ``resumes`` tells.
        seed: Seed of the order.
    """
    if type(loader) is DataLoader and isinstance(loader.dataset, IterableDataset):
        return ResumableStream(loader, seed)
    if (
        type(loader) is not DataLoader
        or type(loader.sampler) not in (RandomSampler, SequentialSampler)
        or loader.batch_size is None
    ):
        return loader
    return ResumableLoader(
        loader.dataset,
        loader.batch_size,
        seed=seed,
        shuffle=type(loader.sampler) is RandomSampler,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        drop_last=loader.drop_last,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )
