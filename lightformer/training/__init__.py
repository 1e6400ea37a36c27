"""What goes on around a training run: checkpoints, logs, stopping."""
