"""Classify images of 8 bits by the ONNX file of this name: python SCRIPT.py photo.jpg ..."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(__file__[:-2] + "onnx")
facts = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
made, (height, width) = facts["preprocessing"], facts["preprocessing"]["image_size"]
for file in map(Image.open, sys.argv[1:]):
    file.draft(None, (2 * max(height, width),) * 2)  # a JPEG at reduced size
    image = ImageOps.exif_transpose(file).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if made["channels"] == 1 else "RGB")
    fitted = np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR))
    pixels = np.atleast_3d(fitted).transpose(2, 0, 1)[None]
    x = session.run(None, {"inputs": pixels})[0][0].astype(np.float64)
    x -= np.logaddexp(0, x) if made["several_labels"] else np.logaddexp.reduce(x)
    found = {"label": facts["label_names"][x.argmax()], "probability": np.exp(x.max())}
    print(json.dumps({"file": file.filename, **found}))
