"""The run folder that a training leaves behind."""
