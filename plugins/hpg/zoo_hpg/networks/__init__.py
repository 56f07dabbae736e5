"""Nets of a state and a goal, and how they are evaluated on many pairs of the two."""
