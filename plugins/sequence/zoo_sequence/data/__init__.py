"""Datasets of sequences."""
