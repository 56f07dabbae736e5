"""Small nets whose weights are one vector, a whole population at once."""
