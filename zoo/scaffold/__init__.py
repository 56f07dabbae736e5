"""The code that ``zoo plugin new`` writes."""
