"""What every masking promises, tried on rows of random tokens with special ones and padding among them."""

from lightformer.testing.masking import hiding, together, visits  # the order of the table
from lightformer.testing.masking.trial import MaskingTrial

__all__ = ["MaskingTrial", "hiding", "together", "visits"]
