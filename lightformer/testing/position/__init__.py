"""What every position promises, tried by what its hooks give and in a small backbone with plain attention."""

from lightformer.testing.position import placing, telling, training  # the order of the table
from lightformer.testing.position.trial import PositionTrial

__all__ = ["PositionTrial", "placing", "telling", "training"]
