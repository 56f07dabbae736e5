"""Environments, episodes and evaluation for the zoo's plugins of reinforcement learning."""
