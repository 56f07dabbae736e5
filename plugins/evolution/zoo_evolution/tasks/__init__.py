"""What controllers are evolved for: environments that play a whole population at once."""
