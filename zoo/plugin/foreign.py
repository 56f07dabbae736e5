"""What a plugin makes of another library's bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ForeignBundle:
    """A trained model out of another library's bundle, in the zoo's terms.

    Attributes:
        model: Name of a registered model.
        arguments: Its constructor's, JSON values.
        weights: Its tensors, by their names in the module.
        data: Name of the registered dataset by whose rules files are prepared.
        data_arguments: That dataset's, where they are not its defaults.
        facts: What is known of the training data, by argument name.
        preprocessing: What happens to a sample before the model.
        license: The terms of the weights; empty if they are not stated.
        notes: What could not be taken over, a sentence each.
    """

    model: str
    arguments: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    data: str
    data_arguments: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    license: str = ""
    notes: tuple[str, ...] = ()
