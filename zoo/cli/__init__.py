"""The command line: one small file a command; ``main`` is the front."""
