"""Layers of the plugin: plain ``nn.Module``, usable without Lightning and without the zoo."""

from zoo_segmentation.layers.md_lstm import MDLSTM
from zoo_segmentation.layers.pyramid import PyramidLSTM

__all__ = ["MDLSTM", "PyramidLSTM"]
