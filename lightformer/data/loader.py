"""Loaders whose batches are a pure function of (data, seed, step), and which have no state.

A global batch is what one optimizer step sees; see `lightformer.data.order`. Micro-batches and ranks only divide it:

    its micro-batches   = A slices, for accumulate_grad_batches = A
    of these, a rank's  = one of W slices

The slices differ by one sample at most. They are no `DataLoader`s, since Lightning would give these another sampler;
each has one inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch

from lightformer.data.order import Budget, Fixed, Grouped, Order, cut, in_parts, longest_first
from lightformer.data.samples import TARGETS, Samples, Visit, load, with_counts
from lightformer.errors import ConfigError
from lightformer.examples import IGNORED, Indices


class StepLoader(Sized, Iterable[dict[str, Any]]):
    """The micro-batches of one epoch of training, for this rank.

    Where it starts is asked of the trainer when the first batch is fetched: its epoch, and how many
    micro-batches it has had. So a resumed run goes on where it stopped.

    Args:
        samples: what to train on
        batch_size: samples of one optimizer step, over all ranks and micro-batches
        seed: the order depends on it
        batch_tokens: tokens of one optimizer step, padding included, instead of a number of samples
        group_by_length: whether samples of a batch are alike in length
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
        batch_tokens: int | None = None,
        group_by_length: bool = False,
        num_workers: int = 0,
        trainer: Any = None,
    ) -> None:
        self.samples = samples
        self.num_workers = num_workers
        self.trainer = trainer
        self.order: Order
        if batch_tokens is not None:
            self.order = Budget(samples.lengths, len(samples), batch_tokens, seed)
        elif group_by_length:
            self.order = Grouped(samples.lengths, len(samples), batch_size, seed)
        else:
            self.order = Fixed(len(samples), batch_size, seed)
        if self.order.smallest < self.accumulate * self.world:
            name = "batch_size" if batch_tokens is None else "batch_tokens"
            value = batch_size if batch_tokens is None else batch_tokens
            raise ConfigError(
                "A batch must have a sample for each device in each of the accumulate_grad_batches, but "
                f"{name} {value} makes batches of {self.order.smallest}, for {self.world} x "
                f"{self.accumulate}; raise {name}."
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
        """Returns the number of micro-batches of an epoch."""
        return len(self.order) * self.accumulate

    def __iter__(self) -> Iterator[dict[str, Any]]:
        epoch, start = self._position()
        stop = self._stop()
        batches = load(self.samples, self._visits(epoch, start, stop), self.num_workers)
        done = start
        while done < stop:
            step_ends = min(stop, (done // self.accumulate + 1) * self.accumulate)
            step = list(islice(batches, step_ends - done))
            yield from with_counts(step)
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

    def _visits(self, epoch: int, start: int, stop: int) -> Iterator[Visit]:
        """What this rank visits, from micro-batch `start` of an epoch to before `stop`."""
        first, last = start // self.accumulate, -(-stop // self.accumulate)
        micro = first * self.accumulate
        for batch in self.order.batches(epoch, first, last):
            parts = in_parts(batch, self.accumulate * self.world)
            for own in parts[self.rank :: self.world]:
                if start <= micro < stop:
                    yield epoch, own
                micro += 1

    def state_dict(self) -> dict[str, Any]:
        """Returns nothing: the counters of the trainer say it all.

        That there is this method tells Lightning that the loader goes on where it stopped.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes nothing, as `state_dict` gives nothing."""


class EvaluationLoader(Sized, Iterable[dict[str, Any]]):
    """Every sample once, in the same order each time; rank r takes the batches r, r + world, r + 2 world ...

    All ranks take as many steps, as models that are divided over them need: a rank that has run out sees its last batch
    again, with nothing in it to predict. In prediction there is no such batch, and samples stay in their order.

    Args:
        samples: what to evaluate on
        batch_size: samples of a batch, at most; fewer where that gives every rank a batch
        batch_tokens: tokens of a batch at most, padding included, instead of a number of samples
        group_by_length: whether the longest come first, so that those of a batch are alike in length
        num_workers: processes that make batches; 0 for none
        trainer: Lightning's trainer; None for one rank
    """

    def __init__(
        self,
        samples: Samples,
        *,
        batch_size: int,
        batch_tokens: int | None = None,
        group_by_length: bool = False,
        num_workers: int = 0,
        trainer: Any = None,
    ) -> None:
        self.samples = samples
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.group_by_length = group_by_length
        self.num_workers = num_workers
        self.trainer = trainer

    @cached_property
    def _longest_first(self) -> tuple[Indices, Indices]:
        """All samples, sorted by length, and their lengths."""
        every = np.arange(len(self.samples))
        lengths = self.samples.lengths(every, 0)
        every = longest_first(lengths, every)
        return every, lengths[every]

    def _batches(self, world: int, predicting: bool) -> list[Indices]:
        """The samples of each batch, for all ranks."""
        every = np.arange(len(self.samples))
        if len(every) and not predicting:
            if self.batch_tokens is not None:
                every, lengths = self._longest_first
                batches = np.split(every, cut(lengths, self.batch_tokens)[1:-1])
                each = -(-world // len(batches))  # so that every rank gets one
                return [own for b in batches for own in in_parts(b, min(each, len(b)))]
            if self.group_by_length:
                every, _ = self._longest_first
        size = min(self.batch_size, max(1, len(every) // world))
        return [every[i : i + size] for i in range(0, len(every), size)]

    def _visits(self) -> tuple[list[Visit], int]:
        """What this rank visits, and how many steps it is idle after that."""
        world, rank, predicting = 1, 0, False
        if self.trainer is not None:
            world, rank = self.trainer.world_size, self.trainer.global_rank
            predicting = self.trainer.predicting
        batches = self._batches(world, predicting)
        own = [(0, batch) for batch in batches[rank::world]]
        most = -(-len(batches) // world)  # what rank 0 visits
        return own, (most - len(own)) * (not predicting and bool(own))

    def __len__(self) -> int:
        own, idle = self._visits()
        return len(own) + idle

    def __iter__(self) -> Iterator[dict[str, Any]]:
        own, idle = self._visits()
        for batch in load(self.samples, own, self.num_workers):
            yield from with_counts([batch])
        for _ in range(idle):
            blank = {
                k: torch.full_like(v, IGNORED)
                for k, v in batch.items()
                if k.endswith((TARGETS, "sample_ids"))
            }
            yield from with_counts([batch | blank])
