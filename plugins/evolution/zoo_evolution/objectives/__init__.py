"""Functions to minimize: known ones, and those of a user."""
