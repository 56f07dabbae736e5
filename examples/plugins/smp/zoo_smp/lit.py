"""What you already have: a LightningModule that knows nothing of the zoo."""

import segmentation_models_pytorch as smp
import torch
from lightning.pytorch import LightningModule


class MaskModel(LightningModule):
    def __init__(self, net, lr=0.001):
        super().__init__()
        self.net, self.lr = net, lr
        self.loss = smp.losses.DiceLoss("binary")
        self.example_input_array = torch.zeros(2, 3, 64, 64)

    def forward(self, image):
        return self.net(image)

    def shared_step(self, batch, stage):
        logits = self(batch["image"])
        loss = self.loss(logits, batch["mask"])
        counts = smp.metrics.get_stats((logits > 0).long(), batch["mask"].long(), mode="binary")
        iou = smp.metrics.iou_score(*counts, reduction="micro")
        self.log_dict({f"{stage}_loss": loss, f"{stage}_iou": iou}, on_step=False, on_epoch=True)
        return loss

    def training_step(self, batch, batch_idx):
        return self.shared_step(batch, "train")

    def validation_step(self, batch, batch_idx):
        self.shared_step(batch, "valid")

    def test_step(self, batch, batch_idx):
        self.shared_step(batch, "test")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)
