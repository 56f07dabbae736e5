"""Find, check and isolate plugins; from a name to its entry."""
