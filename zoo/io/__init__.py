"""Files that survive a crash, JSON that every reader takes, tensors that run no code."""
