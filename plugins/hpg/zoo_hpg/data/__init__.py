"""Episodes that the policy in training plays, as datamodules."""
