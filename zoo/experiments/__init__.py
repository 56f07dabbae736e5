"""Several runs that belong together: seeds, folds, sweeps. Above training and inference."""
