"""What is in a store, counted in memory that does not grow with the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from lightformer.examples import Corpus, Indices

_DOCUMENTS = 1 << 16  # that are looked at together
_TOKENS = 1 << 22


@dataclass(frozen=True)
class Summary:
    """The figures of a corpus.

    Args:
        documents: how many there are
        sentences: how many sentences these have
        tokens: how many tokens, with separators
        unknown: how many of them are the unknown token
        duplicates: how many documents are token for token as one before them
        lengths: how many documents have up to 1, 2, 4, 8 ... tokens, and more than half of that
        longest: how many tokens the longest document has
    """

    documents: int
    sentences: int
    tokens: int
    unknown: int
    duplicates: int
    lengths: tuple[int, ...]
    longest: int


def summarize(corpus: Corpus, unk_id: int | None) -> Summary:
    """Counts what is in a corpus; of a document eight bytes are held, for the duplicates.

    Args:
        corpus: the documents
        unk_id: the unknown token, if the tokenizer has one
    """
    digests = np.empty(corpus.num_documents, dtype=np.uint64)
    counts = np.zeros(64, dtype=np.int64)
    done = longest = 0
    for bounds in _bounds(corpus):
        lengths = np.diff(bounds) - (corpus.separator is not None)
        counts += np.bincount(_bin(lengths), minlength=len(counts))
        longest = max(longest, int(lengths.max()))
        for begin, end in pairwise(bounds.tolist()):
            digests[done] = _digest(corpus.tokens[begin:end])
            done += 1
    digests.sort()
    return Summary(
        documents=corpus.num_documents,
        sentences=len(corpus.sentences) - 1,
        tokens=len(corpus.tokens),
        unknown=0 if unk_id is None else _count(corpus.tokens, unk_id),
        duplicates=int(np.count_nonzero(digests[1:] == digests[:-1])),
        lengths=tuple(np.trim_zeros(counts, "b").tolist()),
        longest=longest,
    )


def _bounds(corpus: Corpus) -> Iterator[Indices]:
    """Where documents start, some thousands at a time, and where the last of these ends."""
    for begin in range(0, corpus.num_documents, _DOCUMENTS):
        yield np.asarray(corpus.sentences[corpus.documents[begin : begin + _DOCUMENTS + 1]])


def _bin(lengths: Indices) -> Indices:
    """The exponent of the smallest power of two that is not below."""
    return np.searchsorted(2 ** np.arange(63), lengths)


def _digest(tokens: npt.NDArray[Any]) -> int:
    return int.from_bytes(blake2b(tokens.data, digest_size=8).digest(), "little")


def _count(tokens: npt.NDArray[Any], token: int) -> int:
    blocks = (tokens[begin : begin + _TOKENS] for begin in range(0, len(tokens), _TOKENS))
    return sum(int(np.count_nonzero(block == token)) for block in blocks)
