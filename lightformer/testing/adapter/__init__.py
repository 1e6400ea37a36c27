"""What every adapter promises, tried on a small transformer."""

from lightformer.testing.adapter import attaching, learning, merging  # the order of the table
from lightformer.testing.adapter.trial import AdapterTrial

__all__ = ["AdapterTrial", "attaching", "learning", "merging"]
