"""Fast weight layers: plain torch, usable without Lightning and without the rest of the zoo."""
