"""What every attention promises, tried in a small backbone with a position of each sort that it accepts."""

from lightformer.testing.attention import (  # the order of the table
    looking,
    remembering,
    showing,
    stretching,
    training,
)
from lightformer.testing.attention.trial import AttentionTrial

__all__ = ["AttentionTrial", "looking", "remembering", "showing", "stretching", "training"]
