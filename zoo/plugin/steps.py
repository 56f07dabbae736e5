"""The data of a learner that has none: the numbers of its steps."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from zoo.plugin.arguments import at_least
from zoo.plugin.endless import EndlessDataset
from zoo.plugin.loaders import ResumableLoader
from zoo.plugin.protocols import Facts


class NumberedSteps(LightningDataModule):
    """For models that make their own data, such as by evolution, or that learn in one pass.

    A batch of training is an int64 tensor (): the number of the step, counted from 0 over all
    epochs, from which the model seeds what it draws. So is a batch of validation or test, counted
    from 0 in each. A plugin registers a subclass, which may add arguments and facts::

        class Generations(NumberedSteps):
            \"\"\"Generations of an evolution.\"\"\"

    Args:
        steps_per_epoch: Training steps between two validations.
        val_steps: Steps of a validation; 0 for none.
        test_steps: Steps of the test; 0 for none.
        seed: For the model, which finds it as ``self.trainer.datamodule.seed``.

    Raises:
        UsageError: an argument is out of its range.
    """

    def __init__(
        self,
        steps_per_epoch: int = 1,
        val_steps: int = 1,
        test_steps: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        at_least("steps_per_epoch", steps_per_epoch, 1)
        at_least("val_steps", val_steps, 0)
        at_least("test_steps", test_steps, 0)
        self.steps_per_epoch, self.seed = steps_per_epoch, seed
        self._val_steps, self._test_steps = val_steps, test_steps

    @property
    def facts(self) -> Facts:
        """Nothing is known of no data."""
        return {}

    def train_dataloader(self) -> ResumableLoader:
        return _loader(self.steps_per_epoch)

    def val_dataloader(self) -> Any:
        return _loader(self._val_steps, again=True) if self._val_steps else []

    def test_dataloader(self) -> Any:
        return _loader(self._test_steps, again=True) if self._test_steps else []


class _Numbers(EndlessDataset):
    def __init__(self, length: int, again: bool) -> None:
        super().__init__(length)
        self._again = again

    def __getitem__(self, number: int) -> Tensor:
        return torch.tensor(number % len(self) if self._again else number)


def _loader(steps: int, again: bool = False) -> ResumableLoader:
    return ResumableLoader(_Numbers(steps, again), None, shuffle=False)
