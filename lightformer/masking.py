"""Which tokens are hidden for a masked language model: the contract of `masking`, and its specs."""

from __future__ import annotations

import abc

from lightformer.examples import Batch, Indices
from lightformer.registry import Spec, namespace
from lightformer.vocabulary import Vocabulary


class Masking(abc.ABC):
    """Hides tokens of a batch, and asks for them.

    Args:
        vocabulary: its special tokens are never hidden
        seed: all that is drawn depends on it
    """

    def __init__(self, vocabulary: Vocabulary, seed: int, /) -> None:
        self.vocabulary = vocabulary
        self.seed = seed

    @abc.abstractmethod
    def __call__(self, batch: Batch, indices: Indices, epoch: int) -> Batch:
        """Returns the batch with other `input_ids`, and with `labels`, -100 where nothing is asked.

        What is drawn is a pure function of (seed, epoch, number of the sample, position).
        """


class MaskingSpec(Spec, kind="masking", builds=Masking):
    """A choice of masking."""


__getattr__ = namespace("masking")
