"""Samples of several texts, each seen as often as its weight says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lightformer.draws import permuted
from lightformer.errors import DataError
from lightformer.examples import IGNORED, Batch, Examples, Indices


class Mixture:
    """Samples of several parts as those of one, part after part.

    An epoch of training sees each sample of a part `weight` times. Where that is no whole number, an epoch goes on in
    the part where the one before stopped: all its samples are seen before one is seen again.

        visit number p of a part   = epoch * visits an epoch + number in this epoch
        its pass over the part     = p // samples of the part
        its sample                 = what stands at p % samples of the part, in the order of this pass,
                                     which is drawn where an epoch does not see all samples

    Args:
        parts: the samples of each part
        weights: of each part; not heeded in evaluation, which sees each sample once
        pad_id: id that fills rows up
        seed: the order depends on it
        training: whether weights are heeded

    Raises:
        DataError: a part of the training data makes no samples.
    """

    def __init__(
        self,
        parts: Sequence[Examples],
        weights: Sequence[float],
        pad_id: int,
        seed: int,
        training: bool,
    ) -> None:
        self.parts = list(parts)
        self.way_out = parts[0].way_out
        self.pad_id = pad_id
        self.seed = seed
        self.training = training
        sizes = [len(part) for part in parts]
        if training and 0 in sizes:
            raise DataError(
                f"Each part of the training data must make a sample, but part {sizes.index(0) + 1} of "
                f"{len(sizes)} makes none; give it more text, or leave it out."
            )
        self.visits = sizes
        if training:
            self.visits = [max(1, round(w * n)) for w, n in zip(weights, sizes, strict=True)]
        self.before = np.cumsum([0, *self.visits])

    def __len__(self) -> int:
        return int(self.before[-1])

    def shortened(self) -> int:
        """Returns how many documents of all parts lose tokens."""
        return sum(part.shortened() for part in self.parts)

    def lengths(self, indices: Indices, epoch: int) -> Indices:
        """Returns the number of tokens of each of these samples."""
        found = np.empty_like(indices)
        for rows, part, samples, turn in self._visited(indices, epoch):
            found[rows] = part.lengths(samples, turn)
        return found

    def batch(self, indices: Indices, epoch: int) -> Batch:
        """Returns the samples of these numbers as one batch, padded to its longest row."""
        visited = list(self._visited(indices, epoch))
        rows = np.argsort(np.concatenate([rows for rows, *_ in visited]))
        batches = [part.batch(samples, turn) for _, part, samples, turn in visited]
        if len(batches) == 1:
            return batches[0]
        return joined(batches, torch.from_numpy(rows), self.pad_id)

    def _visited(
        self, indices: Indices, epoch: int
    ) -> Iterator[tuple[Indices, Examples, Indices, int]]:
        """For each part, and each pass over it: rows of the batch, the part, its samples and the pass."""
        number = np.searchsorted(self.before, indices, side="right") - 1
        for own in np.unique(number).tolist():
            part, rows = self.parts[own], np.flatnonzero(number == own)
            visit = indices[rows] - self.before[own]
            if self.training:
                visit = visit + epoch * self.visits[own]
            passes, places = np.divmod(visit, len(part))
            for turn in np.unique(passes).tolist():
                now = passes == turn
                samples = places[now]
                if self.visits[own] % len(part):  # else all are seen in each epoch
                    samples = permuted(samples, len(part), self.seed, "visit", own, turn)
                yield rows[now], part, samples, turn


def joined(batches: list[Batch], rows: Tensor, pad_id: int) -> Batch:
    """Returns batches as one, padded to the widest.

    Args:
        batches: with the same keys, save that an attention_mask may be lacking where nothing is padding
        rows: which rows of the batches, put one below the other, make the result
        pad_id: id that fills rows up
    """
    shapes = [batch["input_ids"].shape for batch in batches]
    width = max(shape[1] for shape in shapes)
    if any("attention_mask" in batch for batch in batches) or len({s[1] for s in shapes}) > 1:
        for batch, shape in zip(batches, shapes, strict=True):
            batch.setdefault("attention_mask", torch.ones(shape, dtype=torch.bool))
    found = {}
    for key in batches[0]:
        fill = pad_id if key == "input_ids" else IGNORED if key.endswith("labels") else 0
        values = [
            _widened(batch[key], width, fill) if batch[key].ndim == 2 else batch[key]
            for batch in batches
        ]
        found[key] = torch.cat(values)[rows]
    return found


def _widened(values: Tensor, width: int, fill: int) -> Tensor:
    missing = width - values.shape[1]
    return torch.nn.functional.pad(values, (0, missing), value=fill) if missing else values
