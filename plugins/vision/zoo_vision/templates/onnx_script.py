"""Classify images by the ONNX file of this script's name: python SCRIPT.py photo.jpg ...

Needs onnxruntime, numpy and Pillow. Reads images of 8 bits as training did.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(Path(__file__).with_suffix(".onnx"))
facts = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
names, (height, width) = facts["label_names"], facts["preprocessing"]["image_size"]
mode = "L" if facts["preprocessing"]["channels"] == 1 else "RGB"
for path in sys.argv[1:]:
    file = Image.open(path)
    file.draft(None, (2 * max(height, width),) * 2)  # a JPEG at reduced size
    upright = ImageOps.exif_transpose(file).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert(mode)
    fitted = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = np.atleast_3d(np.asarray(fitted)).transpose(2, 0, 1)[None]
    logits = session.run(None, {"inputs": pixels})[0][0].astype(np.float64)
    if facts["preprocessing"]["several_labels"]:
        probabilities = 1 / (1 + np.exp(-logits))
    else:
        probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    best = int(probabilities.argmax())
    print(json.dumps({"file": path, "label": names[best], "probability": probabilities[best]}))
