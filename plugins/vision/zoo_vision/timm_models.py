"""Every image classifier of the timm library, by its timm name."""

from __future__ import annotations

import contextlib
import difflib
import sys
from typing import Any, cast

import timm
import torch
from timm.models import adapt_input_conv
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]
from torch import Tensor, nn

from zoo.plugin import (
    UsageError,
    hub_or_cache,
    load_weights,
    rank_zero_print,
    read_tensors,
    within,
)
from zoo_vision.classifier import Classifier, height_and_width


class TimmClassifier(Classifier):
    """An image classifier of timm (Wightman: PyTorch Image Models).

    Pixels are normalized as the pretrained weights want it where ``pretrained`` or ``weights``
    is given, and otherwise by the data's own statistics. Where the data is not RGB, timm adapts
    the pretrained first convolution.

    Args:
        architecture: timm's name, such as ``resnet18`` or ``resnet18.a1_in1k``.
        pretrained: Start from timm's published weights of that name, downloaded unless they are
            in the Hugging Face cache.
        weights: Start from this safetensors file of the same architecture. Its classifier may
            have another number of classes; everything else has to match.
        drop_rate: Probability of dropping a value before the classifier.
        drop_path_rate: Largest probability of skipping a residual branch (stochastic depth).
        input_size: Height and width the network works on. Default: the data's, or the
            architecture's own where it takes no other.
        layer_decay: Factor on the learning rate from each group of layers to the one before it, as
            timm divides the network, such as 0.75; 1 trains all alike.
        in_channels: 1 (gray) or 3 (RGB). Filled in from the data; 3 without.
        mean: Mean of every channel, of pixels in [0, 1]. Filled in from the data.
        std: Standard deviation of every channel, likewise.
        training: The arguments of ``Classifier``.

    Raises:
        UsageError: there is no such architecture or weights, the weights do not match, or the
            architecture does not take an argument or the size.
    """

    channels_last = True
    conformance_arguments = {"architecture": "test_resnet"}  # noqa: RUF012

    def __init__(
        self,
        architecture: str,
        pretrained: bool = False,
        weights: str | None = None,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        input_size: list[int] | None = None,
        layer_decay: float = 1.0,
        in_channels: int | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        **training: Any,
    ) -> None:
        if pretrained and weights:
            raise UsageError("pretrained and weights are both given; choose one of the two")
        in_channels = 3 if in_channels is None else in_channels
        published = _published(architecture)
        if pretrained or weights:
            mean = _per_channel(published.mean, in_channels)
            std = _per_channel(published.std, in_channels)
        super().__init__(in_channels=in_channels, mean=mean, std=std, **training)
        # The weights are part of every checkpoint: rebuilding the model from it fetches none.
        self.hparams.update(pretrained=False, weights=None)
        own_size = (int(published.input_size[1]), int(published.input_size[2]))
        options: dict[str, Any] = {"drop_rate": drop_rate} if drop_rate else {}
        if drop_path_rate:
            options["drop_path_rate"] = drop_path_rate
        if input_size is not None:
            self.input_size = height_and_width("input_size", input_size)
            if published.fixed_input_size and self.input_size != own_size:
                options["img_size"] = self.input_size
        else:
            self.input_size = own_size if published.fixed_input_size else self.image_size
        self.network = _create(
            architecture,
            pretrained,
            num_classes=self.num_classes,
            in_chans=self.in_channels,
            **options,
        )
        within("layer_decay", layer_decay, 0.01, 1)
        self.layer_decay = layer_decay
        if weights:
            tensors = _adapted(self.network, read_tensors(weights))
            matched = load_weights(self.network, tensors, _classifier_names(self.network), weights)
            rank_zero_print(f"{weights}: {matched}")
        if self.input_size[0] < own_size[0] or self.input_size[1] < own_size[1]:
            self._check_small_input(architecture, own_size)

    @property
    def head(self) -> tuple[str, ...]:
        """The classifier, under timm's name for it."""
        return tuple(f"network.{name}" for name in _classifier_names(self.network))

    @property
    def lr_scale(self) -> dict[str, float]:
        """Layer-wise decay (Clark et al. 2020, ELECTRA), by timm's groups of layers."""
        if self.layer_decay == 1:
            return {}
        groups = param_groups_layer_decay(self.network, layer_decay=self.layer_decay)
        scales = {id(each): group["lr_scale"] for group in groups for each in group["params"]}
        return {name: scales.get(id(each), 1.0) for name, each in self.named_parameters()}

    @torch.no_grad()
    def _check_small_input(self, architecture: str, own_size: tuple[int, int]) -> None:
        # Strides and windows may leave nothing of a small image: better known before training.
        self.network.eval()
        try:
            self.network(torch.zeros(1, self.in_channels, *self.input_size))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise UsageError(
                f"{architecture} does not work on {self.input_size[0]}x{self.input_size[1]} "
                f"pixels ({_first_line(error)}); set model.input_size, for instance to its own "
                f"{list(own_size)}"
            ) from error
        finally:
            self.network.train()


def _published(architecture: str) -> Any:
    """timm's facts on an architecture's weights: their normalization and input size."""
    name, _, _ = architecture.partition(".")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() lists them"
        raise UsageError(f"timm has no architecture {name!r}; {hint}")
    try:
        return timm.get_pretrained_cfg(architecture)
    except RuntimeError as error:
        known = timm.list_pretrained(f"{name}.*")
        raise UsageError(
            f"timm has no weights {architecture!r}; there are {', '.join(known) or 'none'}"
        ) from error


def _create(architecture: str, pretrained: bool, **options: Any) -> nn.Module:
    try:
        with hub_or_cache() if pretrained else contextlib.nullcontext():
            return timm.create_model(architecture, pretrained=pretrained, **options)
    except TypeError as error:
        raise UsageError(
            f"{architecture} does not take every argument given ({_first_line(error)}); "
            "leave out the one named"
        ) from error
    # The hub client's exceptions come from whichever HTTP library it uses.
    except Exception as error:
        if not pretrained:
            raise
        raise UsageError(
            f"the pretrained weights of {architecture} cannot be had ({_first_line(error)}); "
            "fetch model.safetensors of that name from https://huggingface.co/timm on a machine "
            "that is online and pass --model.weights FILE, or set pretrained to false"
        ) from error


def _adapted(network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What timm does to published weights: older names, other sizes, other channels."""
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        state = dict(convert(state, network))
    first = _facts(network).get("first_conv") or ()
    expected = network.state_dict()
    for name in [first] if isinstance(first, str) else first:
        key = f"{name}.weight"
        if key in state and key in expected:
            channels = expected[key].shape[1]
            if state[key].shape[1] != channels:
                state[key] = adapt_input_conv(channels, state[key])
    return state


def _classifier_names(network: nn.Module) -> tuple[str, ...]:
    names = _facts(network)["classifier"]
    return (names,) if isinstance(names, str) else tuple(names)


def _facts(network: nn.Module) -> dict[str, Any]:
    return cast("dict[str, Any]", network.pretrained_cfg)


def _per_channel(values: tuple[float, ...], channels: int) -> list[float]:
    return list(values) if channels == len(values) else [sum(values) / len(values)] * channels


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
