"""One training run: steps, checkpoints, log, signals."""
