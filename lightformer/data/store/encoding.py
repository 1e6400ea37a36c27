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
from itertools import chain, islice
from typing import Any

import numpy as np

from lightformer.data.store.encoder import Encoded, Encoder
from lightformer.data.store.shards import Shard
from lightformer.data.store.workers import Worker, workers
from lightformer.tokenizer import Tokenizer

_FEW = 2  # shards that are encoded in this process


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
        with workers(cores, Encoder(tokenizer, dtype)) as found:
            yield from _beside(every, found)
    else:
        yield from _here(every, tokenizer, dtype)


def _here(
    shards: Iterator[Shard], tokenizer: Tokenizer, dtype: np.dtype[Any]
) -> Iterator[tuple[Shard, Encoded]]:
    """Encodes in a thread, so that the next shard is read meanwhile."""
    encode = Encoder(tokenizer, dtype)
    with ThreadPoolExecutor(1) as thread:
        before = None
        for shard in shards:
            future = thread.submit(encode, shard.pieces)
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
