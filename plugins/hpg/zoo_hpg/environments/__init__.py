"""Goal environments, many episodes of which are played side by side."""

from __future__ import annotations

from zoo_hpg.environments.base import Environment, make_environment

__all__ = ["Environment", "make_environment"]
