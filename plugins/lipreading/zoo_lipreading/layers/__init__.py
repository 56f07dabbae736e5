"""What the plugin's networks are made of."""
