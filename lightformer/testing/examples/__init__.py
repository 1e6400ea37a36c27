"""What every way of cutting a text promises, tried on texts in which each token names its own place."""

from lightformer.testing.examples import cutting, labels, packing, visits  # the order of the table
from lightformer.testing.examples.trial import ExamplesTrial

__all__ = ["ExamplesTrial", "cutting", "labels", "packing", "visits"]
