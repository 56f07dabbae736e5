"""Upside-Down Reinforcement Learning for the zoo."""
