"""What every wiring promises, tried in a small encoder, a decoder, and a decoder that reads another sequence."""

from lightformer.testing.block import carrying, training  # the order of the table
from lightformer.testing.block.trial import BlockTrial

__all__ = ["BlockTrial", "carrying", "training"]
