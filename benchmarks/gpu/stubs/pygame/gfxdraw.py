"""Stands in for pygame.gfxdraw."""
