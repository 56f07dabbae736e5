"""One YAML file is one experiment, checked against signatures."""
