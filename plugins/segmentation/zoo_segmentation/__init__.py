"""Segmentation of volumes and slices for the zoo. The submodules import torch; this does not."""
