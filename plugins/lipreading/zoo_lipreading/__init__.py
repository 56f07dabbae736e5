"""Lipreading for the zoo. The submodules import torch; this does not."""
