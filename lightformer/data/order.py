"""Which samples make a global batch: what one optimizer step sees, over all ranks and micro-batches.

Batch k of an epoch is a pure function of (data, seed, epoch, k), and all epochs have as many batches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from lightformer.draws import Shuffled, permuted
from lightformer.errors import ConfigError, DataError
from lightformer.examples import Indices
from lightformer.layout import runs

Lengths = Callable[[Indices, int], Indices]
"""Gives the length of each of these samples in an epoch."""

POOL = 64
"""So many batches are grouped by length, or made, at a time."""


class Order(ABC):
    """The global batches of each epoch of training."""

    smallest: int
    """How many samples the smallest batch has."""

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of batches of an epoch."""

    @abstractmethod
    def batches(self, epoch: int, start: int, stop: int) -> Iterator[Indices]:
        """Yields the numbers of the samples of each batch, from batch `start` to before `stop`."""


class Fixed(Order):
    """Batches of one size. An epoch ends with the last full one.

    Args:
        num_samples: how many there are
        batch_size: samples of a batch
        seed: the order depends on it

    Raises:
        DataError: the samples do not fill one batch.
    """

    def __init__(self, num_samples: int, batch_size: int, seed: int) -> None:
        if num_samples < batch_size:
            raise DataError(
                f"The training data must fill one batch, but it makes {num_samples} samples and "
                f"batch_size is {batch_size}; lower batch_size or examples.seq_len, or give more "
                "text."
            )
        self.num_samples = num_samples
        self.batch_size = self.smallest = batch_size
        self.seed = seed

    def __len__(self) -> int:
        return self.num_samples // self.batch_size

    def batches(self, epoch: int, start: int, stop: int) -> Iterator[Indices]:
        order = Shuffled(self.num_samples, self.seed, "order", epoch)
        for number in range(start // POOL, -(-stop // POOL)):
            first, last = number * POOL, min((number + 1) * POOL, len(self))
            samples = order[first * self.batch_size : last * self.batch_size]
            pool = self.arranged(samples, epoch, number).reshape(-1, self.batch_size)
            yield from pool[max(start - first, 0) : stop - first]

    def arranged(self, samples: Indices, epoch: int, pool: int) -> Indices:
        """Returns the samples of a pool in the order of its batches."""
        return samples


class Grouped(Fixed):
    """Batches of one size, of samples that are alike in length.

    The shuffled samples are taken a pool at a time, sorted by length and cut into batches, which are shuffled.

    Args:
        lengths: of samples
        num_samples: how many there are
        batch_size: samples of a batch
        seed: the order depends on it
    """

    def __init__(self, lengths: Lengths, num_samples: int, batch_size: int, seed: int) -> None:
        super().__init__(num_samples, batch_size, seed)
        self.lengths = lengths

    def arranged(self, samples: Indices, epoch: int, pool: int) -> Indices:
        batches = longest_first(self.lengths(samples, epoch), samples).reshape(-1, self.batch_size)
        return batches[Shuffled(len(batches), self.seed, "pool", epoch, pool)[:]].ravel()


class Budget(Order):
    """Batches of as many samples as fit into a number of tokens, when all are padded to the longest.

    Sorted by length, the samples are cut into batches; so many of which length is settled once, so that all epochs
    have as many batches. Which samples of a length are in which batch is drawn anew in each epoch, and the order of
    the batches too.

    Args:
        lengths: of samples
        num_samples: how many there are
        batch_tokens: tokens of a batch, padding included
        seed: the order depends on it

    Raises:
        ConfigError: the samples of another epoch have other lengths.
        DataError: a sample has more tokens than a batch, or there is none.
    """

    def __init__(self, lengths: Lengths, num_samples: int, batch_tokens: int, seed: int) -> None:
        every = np.arange(num_samples)
        found = lengths(every, 0)
        if not np.array_equal(found, lengths(every, 1)):
            raise ConfigError(
                "batch_tokens needs samples that have the same lengths in each epoch, but these have others; "
                "give whole numbers as weights of the training data, or set batch_size and leave batch_tokens out."
            )
        if not num_samples:
            raise DataError("The training data makes no samples; give more text.")
        self.by_length = longest_first(found, every)
        sizes = found[self.by_length]
        self.borders = cut(sizes, batch_tokens)
        self.smallest = int(np.diff(self.borders).min())
        self.seed = seed
        self.opens = openings(sizes)
        self.counts = np.diff(self.opens, append=num_samples)

    def __len__(self) -> int:
        return len(self.borders) - 1

    def batches(self, epoch: int, start: int, stop: int) -> Iterator[Indices]:
        order = Shuffled(len(self), self.seed, "batches", epoch)
        for first in range(start, stop, POOL):
            chosen = order[first : min(first + POOL, stop)]
            sizes = self.borders[chosen + 1] - self.borders[chosen]
            place = runs(self.borders[chosen], sizes)
            group = np.searchsorted(self.opens, place, side="right") - 1  # those of one length
            inner, count = place - self.opens[group], self.counts[group]
            inner = permuted(inner, count, self.seed, "alike", epoch, group)
            samples = self.by_length[self.opens[group] + inner]
            yield from np.split(samples, np.cumsum(sizes)[:-1])


def longest_first(lengths: Indices, samples: Indices) -> Indices:
    """Returns the samples, sorted by their lengths; those of one length stay in their order."""
    return samples[np.argsort(-lengths, kind="stable")]


def openings(lengths: Indices) -> Indices:
    """Returns where each length begins, in samples that are sorted by length."""
    return np.flatnonzero(np.diff(lengths, prepend=lengths[0] + 1))


def cut(lengths: Indices, batch_tokens: int) -> Indices:
    """Returns where batches begin in samples that are sorted by length, the longest first, and where the last ends.

    Raises:
        DataError: a sample has more tokens than a batch.
    """
    if lengths[0] > batch_tokens:
        raise DataError(
            f"A batch must hold the longest sample, but that has {lengths[0]} tokens and batch_tokens is "
            f"{batch_tokens}; raise batch_tokens, or lower examples.seq_len."
        )
    begins, at = [np.zeros(0, dtype=np.int64)], 0
    opens = openings(lengths)
    for first, stop in zip(opens, [*opens[1:], len(lengths)], strict=True):
        rows = batch_tokens // max(int(lengths[first]), 1)
        own = np.arange(at, stop, rows)  # batches of which a sample of this length is the longest
        begins.append(own)
        at += rows * len(own)
    borders = np.append(np.concatenate(begins), len(lengths))
    if len(borders) > 2:  # the last two share what they have, so that none is left with a few
        borders[-2] = min(borders[-2], (borders[-3] + borders[-1] + 1) // 2)
    return borders


def in_parts(samples: Indices, parts: int) -> list[Indices]:
    """Divides samples into consecutive parts that differ by one at most."""
    borders = np.arange(parts + 1) * len(samples) // parts
    return [samples[a:b] for a, b in pairwise(borders.tolist())]
