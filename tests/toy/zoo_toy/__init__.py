"""A plugin small enough to test the core with: points in clouds, and a net that sorts them."""
