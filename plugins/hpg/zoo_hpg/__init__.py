"""Hindsight policy gradients for the zoo."""
