"""Stands in for pygame, which gymnasium's Box2D environments import and need only to draw."""

from typing import NoReturn


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(f"pygame.{name} is not available: this is a stub, which draws nothing")
