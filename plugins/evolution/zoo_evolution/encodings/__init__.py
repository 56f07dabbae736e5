"""From what is searched to the weights of a net."""
