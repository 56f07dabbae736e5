"""The one-class support vector machine of scikit-learn, fitted in one pass without gradients."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from sklearn import svm
from torch import Tensor
from torchmetrics.classification import BinaryAUROC

from zoo.plugin import UsageError, plots


class OneClassSVM(LightningModule):
    """Tells what is unlike the training data (Scholkopf et al., Neural Computation 2001).

    score(x) = sum_i dual_i exp(-gamma |x - support_i|^2) + offset, below 0 for what is unlike.

    Args:
        features: Numbers in a sample. Filled in from the data.
        nu: At most this fraction of the training data is called unlike.
        gamma: Width of the kernel.
    """

    dynamic_tensors = ("support", "dual", "gathered")  # their shapes come from the data
    automatic_optimization = False
    input_suffixes = (".csv",)
    gathered: Tensor

    def __init__(self, features: int, nu: float = 0.05, gamma: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.features, self.nu, self.gamma = features, nu, gamma
        self.register_buffer("support", torch.zeros(0, features))
        self.register_buffer("dual", torch.zeros(0))
        self.register_buffer("offset", torch.zeros(()))
        self.register_buffer("gathered", torch.zeros(0, features))
        self.auroc = BinaryAUROC()

    @property
    def example_input(self) -> Tensor:
        return torch.rand(2, self.features, generator=torch.Generator().manual_seed(0))

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores (N,) of samples (N, features)."""
        squares = (inputs[:, None] - self.support).square().sum(-1)
        return (-self.gamma * squares).exp() @ self.dual + self.offset

    def configure_optimizers(self) -> None:
        return None

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.gathered = torch.cat([self.gathered, batch[0]])

    def on_train_epoch_end(self) -> None:
        fitted = svm.OneClassSVM(nu=self.nu, gamma=self.gamma).fit(self.gathered.cpu().numpy())
        found = (fitted.support_vectors_, fitted.dual_coef_[0], fitted.intercept_[0])
        self.support, self.dual, self.offset = (
            torch.as_tensor(each, dtype=torch.float32, device=self.device) for each in found
        )
        self.log("train/unlike", (self(self.gathered) < 0).float().mean())
        self.gathered = self.gathered[:0]

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.auroc.update(-self(batch[0]), batch[1])
        self.log("test/auroc", self.auroc)

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Samples of a batch with their scores."""
        side = int(self.features**0.5)
        images = list(batch[0][:16, : side * side].reshape(-1, side, side).cpu().numpy())
        return {"scores": plots.contact_sheet(images, [f"{s:.2f}" for s in self(batch[0][:16])])}

    def read_file(self, path: Path) -> Tensor:
        """A sample (features,) out of a file of numbers between commas."""
        try:
            sample = torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.float32).ravel())
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} does not hold numbers between commas: {error}") from error
        if len(sample) != self.features:
            raise UsageError(f"{path} holds {len(sample)} numbers, not {self.features}")
        return sample

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Scores (N,)."""
        scores: Tensor = self(batch)
        return scores

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        return {"score": round(float(output), 4), "unlike": bool(output < 0)}
