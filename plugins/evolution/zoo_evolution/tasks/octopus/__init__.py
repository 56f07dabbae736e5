"""The arm of an octopus, in water and in two dimensions."""
