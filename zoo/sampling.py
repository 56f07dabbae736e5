from zoo.loading import EpochSampler as EpochSampler
