"""Fast weights for the zoo. The submodules import torch; this package does not."""
