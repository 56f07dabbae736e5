"""Evolution strategies and neuroevolution for the zoo."""
