"""Multi-column deep neural networks: a committee of max-pooling nets.

Of an image x (N, C, H, W), column k = 1 ... K computes the probabilities of its classes,
softmax(net_k(preprocessing_k(x))), (N, classes); the committee's are their mean. The columns share
a shape and have weights of their own, stacked in one tensor a layer, (K, out, in, ...): so all of
them can be computed one after the other, or at once by one operation a layer. Each minimizes its
own cross-entropy, on images that were deformed for it alone.

Source: Ciresan, Meier, Schmidhuber: Multi-column Deep Neural Networks for Image Classification,
CVPR 2012 (arXiv:1202.2745).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.plugin import CudaGraphs, UsageError, one_of, require
from zoo_vision.classifier import Classifier
from zoo_vision.metrics import EpochMetrics
from zoo_vision.mpcnn import MaxPoolingNet, parse_for
from zoo_vision.notation import open_ended
from zoo_vision.preprocessing import preprocessing

AUTO, LOOP, STACKED = "auto", "one-after-the-other", "stacked"
EXECUTIONS = (AUTO, LOOP, STACKED)
_IN_GRAPH = "stacked, in a graph"
_WIDTHS = ["none", "width10", "width12", "width14", "width16", "width18", "width20"]


class StackedLayer(nn.Module):
    """The weights of one layer in all columns: (columns, out, in, ...) and (columns, out)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)


class Columns(nn.Module):
    """Max-pooling nets of one shape with weights of their own, each on its own input.

    There are two ways to compute them, with equal results: column after column, or all at once
    with one grouped convolution or batched matrix product a layer. Takes
    (columns, N, maps, H, W), gives logits (columns, N, classes).

    Args:
        nets: The columns; their weights are copied.
    """

    def __init__(self, nets: list[MaxPoolingNet]) -> None:
        super().__init__()
        self.count = len(nets)
        weights = [net.state_dict() for net in nets]
        for name, module in nets[0].named_children():
            if isinstance(module, nn.Conv2d | nn.Linear):
                weight, bias = (
                    torch.stack([column[f"{name}.{part}"] for column in weights])
                    for part in ("weight", "bias")
                )
                self.add_module(name, StackedLayer(weight, bias))
            else:
                self.add_module(name, module)
        self._graphs = CudaGraphs(self._with_weights, "the committee's columns")

    def forward(self, inputs: Tensor, execution: str = STACKED) -> Tensor:
        if execution == STACKED and inputs.is_cuda and self.training:
            # As many small kernels as the host can launch: a CUDA graph launches them at once.
            logits: Tensor = self._graphs(inputs, *self.parameters())
            return logits
        if execution in (STACKED, _IN_GRAPH):
            return self._stacked(inputs)
        return torch.stack([self._column(index, inputs[index]) for index in range(self.count)])

    def _with_weights(self, inputs: Tensor, *weights: Tensor) -> Tensor:
        """All columns at once, of the weights in the order of ``parameters()``."""
        named = dict(zip((name for name, _ in self.named_parameters()), weights, strict=True))
        logits: Tensor = torch.func.functional_call(self, named, (inputs, _IN_GRAPH))
        return logits

    def column(self, index: int) -> dict[str, Tensor]:
        """Weights of one column, as the ``state_dict`` of a ``MaxPoolingNet``."""
        return {name: value[index].clone() for name, value in self.state_dict().items()}

    def _column(self, index: int, values: Tensor) -> Tensor:
        if values.device.type == "cpu":
            values = values.clone(memory_format=torch.channels_last)
        for layer in self.children():
            if not isinstance(layer, StackedLayer):
                values = layer(values)
            elif values.ndim == 4:
                values = F.conv2d(values, layer.weight[index], layer.bias[index])
            else:
                values = F.linear(values, layer.weight[index], layer.bias[index])
        return values

    def _stacked(self, inputs: Tensor) -> Tensor:
        # As maps the columns lie side by side in the channels: (N, columns * maps, H, W).
        values = inputs.transpose(0, 1).flatten(1, 2)
        for layer in self.children():
            if isinstance(layer, nn.Flatten):
                values = values.unflatten(1, (self.count, -1)).flatten(2).transpose(0, 1)
            elif not isinstance(layer, StackedLayer):
                values = layer(values)
            elif values.ndim == 4:
                weight, bias = layer.weight.flatten(0, 1), layer.bias.flatten()
                values = F.conv2d(values, weight, bias, groups=self.count)
            else:
                values = torch.baddbmm(
                    layer.bias.unsqueeze(1), values, layer.weight.transpose(1, 2)
                )
        return values


class MCDNN(Classifier):
    """A committee of max-pooling nets, trained on differently preprocessed images in one run.

    Every column sees the same batches, deforms them in its own way and minimizes its own loss,
    as if it was trained alone; their probabilities are averaged. Column ``i`` (from 1) has the
    preprocessing number ``(i - 1) // columns_per_preprocessing``. Logs the committee's metrics,
    and ``test/error/column-<i>``.

    Source: Ciresan, Meier, Schmidhuber: Multi-column Deep Neural Networks for Image
    Classification, CVPR 2012 (arXiv:1202.2745): for MNIST ``none`` and digit widths 10 to 20,
    for traffic signs ``none``, ``imadjust``, ``histeq``, ``adapthisteq`` and ``conorm``, five
    columns each.

    Args:
        net: Input and layers of every column, such as ``1x29x29-20C4-MP2-40C5-MP3-150N-10N``.
            A last ``-N`` stands for as many units as the data has classes.
        preprocessings: One for each group of columns: ``none``, ``width10`` to ``width20``
            (digits), ``imadjust``, ``histeq``, ``adapthisteq`` or ``conorm`` (contrast).
        columns_per_preprocessing: Columns trained on each preprocessing.
        execution: ``one-after-the-other``, ``stacked`` (all columns in one operation a layer)
            or ``auto``: one after the other on a CPU, whose cores a single column keeps busy, and
            stacked on any other device, which wants few, large operations. The two differ by
            rounding alone. ``execution_on`` says which it is.
        activation: ``relu``, ``leaky_relu``, ``tanh`` or ``scaled_tanh``
            (1.7159 tanh(0.6666 a), the papers').
        initialization: ``kaiming``, ``xavier`` or ``uniform`` (U[-0.05, 0.05], the papers').
        dropout: Probability of dropping a unit of the fully connected hidden layers.
        partial_pooling: Keep a smaller last pooling region where a size does not divide,
            instead of refusing the network.
        training: The arguments of ``Classifier``.

    Raises:
        UsageError: the network does not add up or does not fit the data, or a preprocessing is
            unknown.
    """

    network: Columns
    conformance_arguments = {  # noqa: RUF012
        "net": "1x13x13-4C4-MP2-6C2-MP2-8N-N",
        "preprocessings": ["none", "width10"],
        "columns_per_preprocessing": 1,
    }

    def __init__(
        self,
        net: str = "1x29x29-20C4-MP2-40C5-MP3-150N-N",
        preprocessings: list[str] = _WIDTHS,
        columns_per_preprocessing: int = 5,
        execution: Literal["auto", "one-after-the-other", "stacked"] = "auto",
        activation: Literal["relu", "leaky_relu", "tanh", "scaled_tanh"] = "relu",
        initialization: Literal["kaiming", "xavier", "uniform"] = "kaiming",
        dropout: float = 0.0,
        partial_pooling: bool = False,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self._refuse_what_columns_lack()
        self.hparams["net"] = open_ended(net)  # so that a new task may bring its classes
        if columns_per_preprocessing < 1 or not preprocessings:
            raise UsageError(
                f"a committee needs columns: {len(preprocessings)} preprocessing(s) with "
                f"{columns_per_preprocessing} column(s) each make none"
            )
        one_of("execution", execution, EXECUTIONS)
        parsed = parse_for(net, self.num_classes, self.in_channels, partial_pooling)
        self.input_size = (parsed.input.height, parsed.input.width)
        self.preprocessings = [preprocessing(name) for name in preprocessings]
        self.columns_per_preprocessing = columns_per_preprocessing
        count = len(preprocessings) * columns_per_preprocessing
        self.network = Columns(
            [MaxPoolingNet(parsed, activation, initialization, dropout) for _ in range(count)]
        )
        self.execution = execution
        self.column_tally = EpochMetrics(count)

    def _refuse_what_columns_lack(self) -> None:
        given = {
            "multilabel": self.labels.several,
            "class_weights": self.class_weights is not None,
            "mixup and cutmix": not self.mixing.identity,
            "hflip, vflip, crop_scale, color_jitter, auto_augment and random_erasing": (
                not self.augmentation.identity
            ),
        }
        for names, wanted in given.items():
            require(not wanted, f"the columns of mcdnn do not take {names}; omit what is given")

    def execution_on(self, device: torch.device) -> str:
        """The execution that ``auto`` stands for on a device, or the one given."""
        if self.execution != AUTO:
            return self.execution
        return LOOP if device.type == "cpu" else STACKED

    def column_inputs(self, images: Tensor) -> Tensor:
        """Prepare and preprocess: float (columns, N, C, H, W) in [0, 1]."""
        images = self.prepare(images)
        groups = torch.stack([preprocess(images) for preprocess in self.preprocessings])
        return groups.repeat_interleave(self.columns_per_preprocessing, dim=0)

    def column_logits(self, images: Tensor) -> Tensor:
        """Every column's logits (columns, N, num_classes) of images as ``forward`` takes them."""
        inputs = self.normalize(self.column_inputs(images))
        logits: Tensor = self.network(inputs, self.execution_on(inputs.device))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Classify: the logarithm of the columns' mean probabilities, (N, num_classes)."""
        return _committee(self.column_logits(images))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images, labels = batch
        inputs = self.column_inputs(images)
        deformed = self.deformation(inputs.flatten(0, 1)).view_as(inputs)
        inputs = self.normalize(deformed)
        logits = self.network(inputs, self.execution_on(inputs.device))
        losses = self.column_losses(logits, labels)
        correct = (_committee(logits.detach()).argmax(dim=1) == labels).sum()
        self.train_tally.update(losses.detach().mean(), correct, len(labels))
        # The sum, not the mean: a column's gradient is then what it would be alone.
        return losses.sum()

    def column_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Every column's mean cross-entropy, (columns,)."""
        count = len(logits)
        losses = F.cross_entropy(
            logits.flatten(0, 1),
            labels.repeat(count),
            label_smoothing=self.label_smoothing,
            reduction="none",
        )
        return losses.view(count, -1).mean(dim=1)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        columns = self.column_logits(images)
        losses = self.column_losses(columns, labels)
        correct = (columns.argmax(dim=2) == labels).sum(dim=1)
        self.column_tally.update(losses, correct, len(labels))
        averaged = self.scores(images) if self._views else _committee(columns)
        self.measure(images, averaged, labels)

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        if not self.column_tally.count:  # the probabilities of others were measured
            return
        errors = self.column_tally.compute()["error"]
        self.column_tally.reset()
        for index, error in enumerate(errors, start=1):
            self.log(f"test/error/column-{index}", error)


def _committee(logits: Tensor) -> Tensor:
    """(columns, N, classes) logits to the logarithm of their mean probabilities."""
    return logits.log_softmax(dim=2).logsumexp(dim=0) - math.log(len(logits))
