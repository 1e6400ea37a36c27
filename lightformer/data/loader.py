"""Loaders whose batches are a pure function of (data, seed, step), and which have no state.

A global batch is what one optimizer step sees. Micro-batches and ranks only divide it:

    order of an epoch   = a permutation drawn from (seed, epoch)
    global batch k      = order[k * B : (k + 1) * B]
    its micro-batches   = A equal slices, for accumulate_grad_batches = A
    of these, a rank's  = one of W equal slices

They are no `DataLoader`s, since Lightning would give these another sampler; each has one inside.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lightformer.draws import permutation
from lightformer.errors import ConfigError, DataError
from lightformer.examples import IGNORED, Batch, Examples, Indices
from lightformer.masking import Masking

TARGETS = "labels"
"""How the keys of a batch end whose targets are counted."""

Visit = tuple[int, Indices]
"""An epoch, and numbers of samples: all that a worker needs to know to make a batch."""


class Samples(Dataset[Batch]):
    """Examples, and what is done to them at each visit."""

    def __init__(self, examples: Examples, masking: Masking | None = None) -> None:
        self.examples = examples
        self.masking = masking

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, visit: Visit) -> Batch:
        epoch, indices = visit
        batch = self.examples.batch(indices, epoch)
        return batch if self.masking is None else self.masking(batch, indices, epoch)


class StepLoader(Sized, Iterable[dict[str, Any]]):
    """The micro-batches of one epoch of training, for this rank.

    Where it starts is asked of the trainer when the first batch is fetched: its epoch, and how many
    micro-batches it has had. So a resumed run goes on where it stopped.

    Args:
        samples: what to train on
        batch_size: samples of one optimizer step, over all ranks and micro-batches
        seed: the order depends on it
        num_workers: processes that make batches; 0 for none
        trainer: Lightning's trainer; None for one rank and one micro-batch a step

    Raises:
        ConfigError: the batch cannot be divided.
        DataError: the samples do not fill one batch.
    """

    def __init__(
        self,
        samples: Samples,
        *,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        trainer: Any = None,
    ) -> None:
        self.samples = samples
        self.batch_size = batch_size
        self.seed = seed
        self.num_workers = num_workers
        self.trainer = trainer
        if batch_size % (self.accumulate * self.world):
            raise ConfigError(
                "batch_size must be a multiple of accumulate_grad_batches times the number of "
                f"devices, but {batch_size} is not one of {self.accumulate} x {self.world}."
            )
        if len(samples) < batch_size:
            raise DataError(
                f"The training data must fill one batch, but it makes {len(samples)} samples and "
                f"batch_size is {batch_size}; lower batch_size or examples.seq_len, or give more "
                "text."
            )

    @property
    def world(self) -> int:
        return 1 if self.trainer is None else int(self.trainer.world_size)

    @property
    def rank(self) -> int:
        return 0 if self.trainer is None else int(self.trainer.global_rank)

    @property
    def accumulate(self) -> int:
        return 1 if self.trainer is None else int(self.trainer.accumulate_grad_batches)

    def __len__(self) -> int:
        """Returns the number of micro-batches of an epoch, which ends with the last full batch."""
        return len(self.samples) // self.batch_size * self.accumulate

    def __iter__(self) -> Iterator[dict[str, Any]]:
        epoch, start = self._position()
        stop = self._stop()
        batches = _load(self.samples, self._visits(epoch, start, stop), self.num_workers)
        done = start
        while done < stop:
            step_ends = min(stop, (done // self.accumulate + 1) * self.accumulate)
            step = list(islice(batches, step_ends - done))
            yield from _with_counts(step)
            done = step_ends

    def _position(self) -> tuple[int, int]:
        """The epoch, and the first micro-batch of it that is due."""
        if self.trainer is None or not self.trainer.training:
            return 0, 0
        progress = self.trainer.fit_loop.epoch_loop.batch_progress.current
        epoch = 0 if self.trainer.overfit_batches else int(self.trainer.current_epoch)
        return epoch, int(progress.ready)

    def _stop(self) -> int:
        """How many micro-batches an epoch has, where the trainer may have limited it."""
        if self.trainer is None or not self.trainer.training:
            return len(self)
        return int(min(len(self), self.trainer.num_training_batches))

    def _visits(self, epoch: int, start: int, stop: int) -> list[Visit]:
        order = permutation(len(self.samples), self.seed, "order", epoch)
        micro = self.batch_size // self.accumulate  # over all ranks
        own = micro // self.world
        first = [m * micro + self.rank * own for m in range(start, stop)]
        return [(epoch, order[i : i + own]) for i in first]

    def state_dict(self) -> dict[str, Any]:
        """Returns nothing: the counters of the trainer say it all.

        That there is this method tells Lightning that the loader goes on where it stopped.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes nothing, as `state_dict` gives nothing."""


class EvaluationLoader(Sized, Iterable[dict[str, Any]]):
    """Every sample once, in order; rank r takes the batches r, r + world, r + 2 world ...

    All ranks take as many steps, as models that are divided over them need: a rank that has run out sees its last batch
    again, with nothing in it to predict. In prediction there is no such batch.

    Args:
        samples: what to evaluate on
        batch_size: samples of a batch, at most; fewer where that gives every rank a batch
        num_workers: processes that make batches; 0 for none
        trainer: Lightning's trainer; None for one rank
    """

    def __init__(
        self, samples: Samples, *, batch_size: int, num_workers: int = 0, trainer: Any = None
    ) -> None:
        self.samples = samples
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.trainer = trainer

    def _visits(self) -> tuple[list[Visit], int]:
        """What this rank visits, and how many steps it is idle after that."""
        world, rank, evens = 1, 0, False
        if self.trainer is not None:
            world, rank = self.trainer.world_size, self.trainer.global_rank
            evens = not self.trainer.predicting
        every = np.arange(len(self.samples))
        size = min(self.batch_size, max(1, len(every) // world))
        own = [(0, every[i : i + size]) for i in range(rank * size, len(every), world * size)]
        most = len(range(0, len(every), world * size))  # what rank 0 visits
        return own, (most - len(own)) * (evens and bool(own))

    def __len__(self) -> int:
        own, idle = self._visits()
        return len(own) + idle

    def __iter__(self) -> Iterator[dict[str, Any]]:
        own, idle = self._visits()
        for batch in _load(self.samples, own, self.num_workers):
            yield from _with_counts([batch])
        for _ in range(idle):
            blank = {
                k: torch.full_like(v, IGNORED) for k, v in batch.items() if k.endswith(TARGETS)
            }
            yield from _with_counts([batch | blank])


def _with_counts(step: list[Batch]) -> Iterator[dict[str, Any]]:
    """Adds to each micro-batch how many targets the whole step has on this rank."""
    counts = {
        key: torch.stack([(batch[key] != IGNORED).sum() for batch in step]).sum()
        for key in (step[0] if step else ())
        if key.endswith(TARGETS)
    }
    for batch in step:
        yield {**batch, "num_targets": dict(counts)}


def _load(samples: Samples, visits: list[Visit], num_workers: int) -> Iterator[Batch]:
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
