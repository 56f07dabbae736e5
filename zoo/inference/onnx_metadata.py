"""What an ONNX file says of itself: model, classes and preprocessing, in its metadata."""

from __future__ import annotations

import json
from typing import Any

from zoo.bundles.bundle import Bundle
from zoo.io.plain_json import without_nan
from zoo.plugin.protocols import HasPreprocessing


def with_metadata(data: bytes, bundle: Bundle, model: object) -> bytes:
    """The file with ``metadata_props``: each value is JSON.

    Args:
        data: An ONNX file.
        bundle: Of the model.
        model: The module.
    """
    import onnx

    values: dict[str, Any] = {"model": bundle.model_name}
    if names := bundle.facts.get("label_names"):
        values["label_names"] = names
    if isinstance(model, HasPreprocessing):
        values["preprocessing"] = dict(model.preprocessing)
    proto = onnx.load_model_from_string(data)
    texts = {key: json.dumps(without_nan(each)) for key, each in values.items()}
    onnx.helper.set_model_props(proto, texts)
    return bytes(proto.SerializeToString())
