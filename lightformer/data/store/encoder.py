"""Pieces of text to tokens, each word of them once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from lightformer.data.store.chunks import chunk_pattern
from lightformer.tokenizer import Tokenizer

_BATCH = 1 << 14  # characters that are encoded at a time: more would leave the caches of a core
_LEARNT = 1 << 15  # words after which a text tells whether its words come again
_NEW = 0.25  # share of new words above which it is faster to encode the whole
_HELD = 1 << 25  # bytes of words that are kept, about
_ENTRY = 130  # bytes that a word takes beside its letters and tokens


@dataclass(frozen=True)
class Encoded:
    """The tokens of some pieces.

    Args:
        tokens: all of them, in a row
        lengths: how many each piece has
    """

    tokens: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]


class Encoder:
    """Makes tokens of pieces, and asks the tokenizer once for each different word.

    Text is mostly made of words that were there before, and to look one up takes a fraction of the time. Where most
    are new, as in a list of numbers, pieces are encoded whole.

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
        self._known: dict[str, bytes] = {}  # the tokens of a word, as they are stored
        self._held = 0

    def __call__(self, pieces: list[str]) -> Encoded:
        found = [self._by_words(batch) or self._whole(batch) for batch in _batches(pieces)]
        return Encoded(
            np.concatenate([np.empty(0, self._dtype), *(part.tokens for part in found)]),
            np.concatenate([np.empty(0, np.int64), *(part.lengths for part in found)]),
        )

    def _whole(self, pieces: list[str]) -> Encoded:
        found = self._tokenizer.encode_pieces(pieces)
        lengths = np.array(list(map(len, found)))
        return Encoded(np.fromiter(chain.from_iterable(found), self._dtype), lengths)

    def _by_words(self, pieces: list[str]) -> Encoded | None:
        """Returns the tokens as they were learnt, or nothing where too many are not known."""
        if self.pattern is None:
            return None
        cut = [self.pattern.findall(piece) for piece in pieces]
        words = list(chain.from_iterable(cut))
        if self._held > _HELD:
            self._known.clear()
            self._held = 0
        found = list(map(self._known.get, words, repeat(b"")))
        sizes = _sizes(found)
        empty = np.flatnonzero(sizes == 0).tolist()
        places = [place for place in empty if words[place] not in self._known]
        new = list(dict.fromkeys(words[place] for place in places))
        if len(new) > _NEW * len(words) and len(self._known) > _LEARNT:
            return None
        self._learn(new)
        for place in places:
            found[place] = self._known[words[place]]
            sizes[place] = len(found[place])
        before = _before(sizes)[_before(_sizes(cut))]  # bytes before each piece
        lengths = np.diff(before) // self._dtype.itemsize
        return Encoded(np.frombuffer(b"".join(found), self._dtype), lengths)

    def _learn(self, words: list[str]) -> None:
        for group in _batches(words):
            ids, owners = self._tokenizer.encode_words(group)
            lengths = np.bincount(np.array(owners, np.int64), minlength=len(group))
            ends = (np.cumsum(lengths) * self._dtype.itemsize).tolist()
            stored, start = np.array(ids, self._dtype).tobytes(), 0
            for word, end in zip(group, ends, strict=True):
                self._known[word] = stored[start:end]
                start = end
            self._held += len(stored) + sum(map(sys.getsizeof, group)) + _ENTRY * len(group)


def _sizes(parts: Sequence[Sized]) -> npt.NDArray[np.int64]:
    """Returns how much each part is."""
    return np.fromiter(map(len, parts), np.int64, len(parts))


def _before(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns how much comes before each part, and last, how much all are."""
    found = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=found[1:])
    return found


def _batches(pieces: list[str]) -> Iterator[list[str]]:
    """Yields pieces that begin within the same stretch of the text."""
    stretch = _before(_sizes(pieces))[:-1] // _BATCH
    ends = np.flatnonzero(np.diff(stretch, append=-1)) + 1
    begin = 0
    for end in ends.tolist():
        yield pieces[begin:end]
        begin = end
