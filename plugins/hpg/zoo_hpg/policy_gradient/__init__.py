"""Estimators of the policy gradient, and what they are computed from."""
