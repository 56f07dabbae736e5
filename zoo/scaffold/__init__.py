"""What ``zoo plugin new`` writes."""
