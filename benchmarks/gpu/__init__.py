"""Checks and measurements for a machine with a GPU that is at hand for minutes: see README.md."""
