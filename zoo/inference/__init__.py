"""The uses of a trained model: evaluate, predict, export."""
