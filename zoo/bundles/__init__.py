"""The trained model to keep and share: weights, manifest, model card, and where they come from."""
