"""Shards to tokens, on all cores.

Each process encodes whole shards with a tokenizer of its own: the threads of `tokenizers` wait for one another at the
tokenizer's memory of words, and what turns tokens into numbers holds Python's lock. What is small is not worth
starting processes for.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from lightformer.data.store.shards import Shard
from lightformer.data.store.workers import Worker, workers
from lightformer.tokenizer import Tokenizer

_BATCH = 1 << 14  # characters that are encoded at a time: more would leave the caches of a core
_FEW = 2  # shards that are encoded in this process


@dataclass(frozen=True)
class Encoded:
    """The tokens of a shard.

    Args:
        tokens: all of them, in a row
        lengths: how many each piece has
    """

    tokens: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]


def encode(pieces: list[str], tokenizer: Tokenizer, dtype: np.dtype[Any]) -> Encoded:
    """Returns the tokens of pieces."""
    tokens: list[npt.NDArray[Any]] = [np.empty(0, dtype)]
    lengths: list[int] = []
    for batch in _batches(pieces):
        found = tokenizer.encode_pieces(batch)
        counts = [len(ids) for ids in found]
        tokens.append(np.fromiter(chain.from_iterable(found), dtype, count=sum(counts)))
        lengths += counts
    return Encoded(np.concatenate(tokens), np.array(lengths, dtype=np.int64))


def _batches(pieces: list[str]) -> Iterator[list[str]]:
    begin = size = 0
    for number, piece in enumerate(pieces, start=1):
        size += len(piece)
        if size >= _BATCH or number == len(pieces):
            yield pieces[begin:number]
            begin, size = number, 0


def encode_all(
    shards: Iterator[Shard], tokenizer: Tokenizer, dtype: np.dtype[Any]
) -> Iterator[tuple[Shard, Encoded]]:
    """Yields each shard with its tokens, in order; the next ones are encoded meanwhile.

    Raises:
        ChildProcessError: a process that encodes was killed.
    """
    first = list(islice(shards, _FEW + 1))
    every = chain(first, shards)
    if len(first) > _FEW and sys.platform == "linux":  # elsewhere a process cannot be forked safely
        cores = len(os.sched_getaffinity(0))
        with workers(cores, partial(encode, tokenizer=tokenizer, dtype=dtype)) as found:
            yield from _beside(every, found)
    else:
        yield from _here(every, tokenizer, dtype)


def _here(
    shards: Iterator[Shard], tokenizer: Tokenizer, dtype: np.dtype[Any]
) -> Iterator[tuple[Shard, Encoded]]:
    """Encodes in a thread, so that the next shard is read meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        before = None
        for shard in shards:
            future = thread.submit(encode, shard.pieces, tokenizer, dtype)
            if before is not None:
                yield before[0], before[1].result()
            before = shard, future
        if before is not None:
            yield before[0], before[1].result()


def _beside(
    shards: Iterator[Shard], found: list[Worker[list[str], Encoded]]
) -> Iterator[tuple[Shard, Encoded]]:
    """Deals the shards out; each process has one in work, and one to go on with."""
    waiting: deque[tuple[Shard, Worker[list[str], Encoded]]] = deque()
    for number, shard in enumerate(shards):
        if len(waiting) == 2 * len(found):
            done, worker = waiting.popleft()
            yield done, worker.receive()
        worker = found[number % len(found)]
        worker.send(shard.pieces)
        shard.pieces = []
        waiting.append((shard, worker))
    while waiting:
        done, worker = waiting.popleft()
        yield done, worker.receive()
