"""Batches of samples, made at each visit, here or in worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lightformer.data.mixture import Mixture
from lightformer.errors import DataError
from lightformer.examples import IGNORED, Batch, Examples, Indices
from lightformer.masking import Masking

TARGETS = "labels"
"""How the keys of a batch end whose targets are counted."""

Visit = tuple[int, Indices]
"""An epoch, and numbers of samples: all that a worker needs to know to make a batch."""


class Samples(Dataset[Batch]):
    """Examples, and what is done to them at each visit."""

    def __init__(self, examples: Examples | Mixture, masking: Masking | None = None) -> None:
        self.examples = examples
        self.masking = masking

    def __len__(self) -> int:
        return len(self.examples)

    def lengths(self, indices: Indices, epoch: int) -> Indices:
        """Returns the number of tokens of each of these samples."""
        return self.examples.lengths(indices, epoch)

    def __getitem__(self, visit: Visit) -> Batch:
        """Returns a batch; its `sample_ids` are the numbers of its samples in the epoch."""
        epoch, indices = visit
        batch = self.examples.batch(indices, epoch)
        if self.masking is not None:
            batch = self.masking(batch, indices, epoch)
        return {**batch, "sample_ids": torch.from_numpy(indices.astype(np.int64))}


def with_counts(step: list[Batch]) -> Iterator[dict[str, Any]]:
    """Adds to each micro-batch how many targets the whole step has on this rank."""
    counts = {
        key: torch.stack([(batch[key] != IGNORED).sum() for batch in step]).sum()
        for key in (step[0] if step else ())
        if key.endswith(TARGETS)
    }
    for batch in step:
        yield {**batch, "num_targets": dict(counts)}


def load(samples: Samples, visits: Iterable[Visit], num_workers: int) -> Iterator[Batch]:
    """Yields the batch of each visit, in their order.

    Raises:
        DataError: a worker process was killed.
    """
    loader: DataLoader[Batch] = DataLoader(
        samples,
        batch_size=None,  # an element of the data set is a batch already
        sampler=visits,
        num_workers=num_workers,
        worker_init_fn=_deaf,
        pin_memory=torch.cuda.is_available(),
    )
    try:
        yield from loader
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            f"A process that makes batches was killed ({' '.join(str(error).split())}); mostly "
            "there is too little memory, so lower batch_size or data.num_workers, which is "
            f"{num_workers}."
        ) from error


def _deaf(_worker: int) -> None:
    """A signal to the whole group stops the run at the end of a step, not a worker before that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
