"""World models for the zoo."""
