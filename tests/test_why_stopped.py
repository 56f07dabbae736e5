"""A training that ends early says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

from zoo.training.why_stopped import WhyStopped


class Rising(LightningModule):
    """Its score is the number of the epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.log("score", float(self.current_epoch))
        return self.weight * 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"mode": "max", "stopping_threshold": 1.5},
            "training ends after epoch 3: Stopping threshold reached: score = 2.0 > 1.5.\n",
        ),
        (
            {"mode": "min", "patience": 2},
            "training ends after epoch 3: Monitored metric score did not improve in the last 2 "
            "records. Best score: 0.000.\n",
        ),
        ({"mode": "max", "patience": 2}, ""),
    ],
)
def test_early_stopping_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, object], expected: str
) -> None:
    stopping = EarlyStopping("score", check_on_train_epoch_end=True, **settings)  # type: ignore[arg-type]
    trainer = Trainer(
        max_epochs=5,
        callbacks=[stopping, WhyStopped()],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Rising(), [torch.zeros(1)])
    told = [line for line in capsys.readouterr().err.splitlines(True) if "training ends" in line]
    assert "".join(told) == expected
