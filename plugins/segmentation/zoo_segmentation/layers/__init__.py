"""Layers of the plugin: plain ``nn.Module``, usable without Lightning and without the zoo.

One file a layer, with its equations at the top. What only makes a layer fast lies in ``scan``.
"""

from zoo_segmentation.layers.md_lstm import MDLSTM
from zoo_segmentation.layers.pyramid_lstm import PyramidLSTM

__all__ = ["MDLSTM", "PyramidLSTM"]
