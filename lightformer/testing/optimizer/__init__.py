"""What every optimizer promises, tried on a small transformer and on a convex loss."""

from lightformer.testing.optimizer import changing, keeping, learning  # the order of the table
from lightformer.testing.optimizer.trial import OptimizerTrial

__all__ = ["OptimizerTrial", "changing", "keeping", "learning"]
