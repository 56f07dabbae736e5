"""A page to look at, made of the files of a run or of a comparison; below training."""
