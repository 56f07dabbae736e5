"""Sweeps: trials of one recipe with other values, proposed by Optuna, resumable and shared."""
