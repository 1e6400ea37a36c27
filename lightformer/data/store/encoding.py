"""Shards to tokens, on all cores.

Each process encodes whole shards with a tokenizer of its own: the threads of `tokenizers` wait for one another at the
tokenizer's memory of words, and what turns tokens into numbers holds Python's lock. What is small is not worth
starting processes for.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from lightformer.data.store.chunks import chunk_pattern
from lightformer.data.store.shards import Shard
from lightformer.data.store.workers import Worker, workers
from lightformer.tokenizer import Tokenizer

_BATCH = 1 << 14  # characters that are encoded at a time: more would leave the caches of a core
_FEW = 2  # shards that are encoded in this process
_HELD = 1 << 25  # bytes of words that are kept, about
_ENTRY = 180  # bytes that a word takes beside its letters and tokens


@dataclass(frozen=True)
class Encoded:
    """The tokens of a shard.

    Args:
        tokens: all of them, in a row
        lengths: how many each piece has
    """

    tokens: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]


class Encoder:
    """Makes tokens of pieces, and asks the tokenizer once for each different word.

    Text is mostly made of words that were there before, and to look one up takes a fraction of the time.

    Args:
        tokenizer: makes the tokens
        dtype: of the tokens

    Attributes:
        pattern: finds the words, where the tokenizer lets them be encoded one by one
    """

    def __init__(self, tokenizer: Tokenizer, dtype: np.dtype[Any]) -> None:
        self._tokenizer = tokenizer
        self._dtype = dtype
        self.pattern = chunk_pattern(json.loads(tokenizer.to_json()))
        self._known: dict[str, bytes] = {}  # the tokens of a chunk
        self._held = 0

    def __call__(self, pieces: list[str]) -> Encoded:
        tokens: list[bytes] = []
        lengths: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
        for batch in _batches(pieces):
            cut = [self.pattern.findall(p) if self.pattern else [p] for p in batch]
            chunks = list(chain.from_iterable(cut))
            self._learn(chunks)
            found = list(map(self._known.__getitem__, chunks))
            sizes = np.cumsum([0, *map(len, found)])  # bytes before each chunk
            lengths.append(np.diff(sizes[np.cumsum([0, *map(len, cut)])]) // self._dtype.itemsize)
            tokens += found
        return Encoded(np.frombuffer(b"".join(tokens), self._dtype), np.concatenate(lengths))

    def _learn(self, chunks: list[str]) -> None:
        if self._held > _HELD:
            self._known.clear()
            self._held = 0
        new = list(set(chunks).difference(self._known))
        if not new:
            return
        found = self._tokenizer.encode_pieces(new)
        ends = np.cumsum([0, *map(len, found)]) * self._dtype.itemsize
        tokens = np.fromiter(chain.from_iterable(found), self._dtype).tobytes()
        self._known.update(
            zip(new, map(tokens.__getitem__, map(slice, ends, ends[1:])), strict=True)
        )
        self._held += len(tokens) + sum(map(len, new)) + _ENTRY * len(new)


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
