"""Recurrent models of the world, exchangeable: what comes after an observation and an action."""
