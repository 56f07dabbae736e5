"""A BERT with random weights, made of a configuration: nothing is downloaded."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.functional.classification import multiclass_confusion_matrix
from transformers import BertConfig, BertForSequenceClassification

from zoo.plugin import plots
from zoo_bert.data import TOKENIZER, encode


class BertTextClassifier(LightningModule):
    """transformers' BERT (Devlin et al., NAACL 2019) on bytes.

    Args:
        num_classes: Number of classes. Filled in from the data.
        label_names: Their names. Filled in from the data.
        length: Bytes of a text that are read. Filled in from the data.
        hidden: Size of the hidden states, a multiple of 4.
        layers: Number of layers.
        lr: Learning rate of AdamW.
    """

    head = ("net.classifier",)
    input_suffixes = (".txt",)

    def __init__(
        self,
        num_classes: int,
        label_names: list[str],
        length: int = 64,
        hidden: int = 32,
        layers: int = 2,
        lr: float = 0.002,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.label_names, self.length, self.lr = label_names, length, lr
        self.net = BertForSequenceClassification(
            BertConfig(
                vocab_size=len(TOKENIZER),
                pad_token_id=TOKENIZER.pad_token_id,
                hidden_size=hidden,
                intermediate_size=4 * hidden,
                num_hidden_layers=layers,
                num_attention_heads=4,
                max_position_embeddings=length,
                num_labels=num_classes,
            )
        )
        self.accuracy = MulticlassAccuracy(num_classes, average="micro")

    @property
    def example_input(self) -> Tensor:
        return torch.arange(2 * self.length).reshape(2, -1) % len(TOKENIZER)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits (N, num_classes) of token ids (N, length)."""
        read = (input_ids != TOKENIZER.pad_token_id).long()
        logits: Tensor = self.net(input_ids, attention_mask=read).logits
        return logits

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss = torch.nn.functional.cross_entropy(self(batch["input_ids"]), batch["labels"])
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.accuracy(self(batch["input_ids"]), batch["labels"])
        self.log("val/accuracy", self.accuracy)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.accuracy(self(batch["input_ids"]), batch["labels"])
        self.log("test/accuracy", self.accuracy)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), self.lr)

    def draw_plots(self, batch: dict[str, Tensor]) -> dict[str, Figure]:
        """What is taken for what in a batch of test data."""
        names = self.label_names
        counts = multiclass_confusion_matrix(self(batch["input_ids"]), batch["labels"], len(names))
        return {"confusion": plots.confusion_matrix(counts.cpu().numpy(), names)}

    def read_file(self, path: Path) -> Tensor:
        """Token ids (length,)."""
        return encode(path, self.length)

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Probabilities (N, num_classes)."""
        return self(batch).softmax(-1)

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        best = int(output.argmax())
        return {"label": self.label_names[best], "probability": round(float(output[best]), 4)}
