"""A plugin small enough to test the core with: points in clouds, images of patterns, and nets
that sort them."""
