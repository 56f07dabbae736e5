"""How candidates are drawn and what is learnt from their fitness, a method a file."""
