"""One document a row."""

from __future__ import annotations

from typing import Literal

import numpy as np

from lightformer.errors import ConfigError
from lightformer.examples import Batch, Corpus, Examples, Indices
from lightformer.layout import Stretches, lay_out, room_for_text
from lightformer.registry import register
from lightformer.vocabulary import Vocabulary


@register(
    "examples", "documents", forms=({}, {"long": "split"}, {"special_tokens": True, "seq_len": 31})
)
class Documents(Examples):
    """Gives each document a row of its own, padded to the longest of the batch.

    Nothing is cut but what is too long, and a model never reads across a border. Padding costs time, so group rows
    by their length: data.group_by_length or data.batch_tokens.
    """

    way_out = "raise it, or set examples.long: split,"

    def __init__(
        self,
        corpus: Corpus,
        vocabulary: Vocabulary,
        seed: int,
        training: bool,
        /,
        *,
        seq_len: int = 128,
        special_tokens: bool = False,
        long: Literal["truncate", "split"] = "truncate",
    ) -> None:
        """
        Args:
            seq_len: number of tokens in a row, at most
            special_tokens: whether a row is [CLS] ... [SEP], as BERT sees text
            long: what becomes of a document that is longer: truncate keeps its beginning, split makes several rows
        """
        super().__init__(corpus, vocabulary, seed, training)
        if long not in ("truncate", "split"):
            raise ConfigError(f"long must be truncate or split, not {long!r}.")
        self.framed = special_tokens
        self.width = room_for_text(seq_len, vocabulary, framed=special_tokens)
        self.starts, self.ends = corpus.texts(with_separator=not special_tokens)
        self.truncates = long == "truncate"
        rows = -(-(self.ends - self.starts) // self.width)  # of each document; none of an empty one
        if self.truncates:
            rows = np.minimum(rows, 1)
        self.before = np.concatenate([[0], np.cumsum(rows)])

    def __len__(self) -> int:
        return int(self.before[-1])

    def batch(self, indices: Indices, epoch: int) -> Batch:
        starts, lengths, ends = self._stretches(indices)
        rows = np.arange(len(indices))
        shape = (len(indices), int(lengths.max()) + 2 * self.framed)
        stretches = Stretches(rows, starts, lengths, ends)
        return lay_out(
            self.corpus, self.vocabulary, stretches, shape, framed=self.framed, packed=False
        )

    def shortened(self) -> int:
        return int(np.count_nonzero(self.ends - self.starts > self.width)) if self.truncates else 0

    def lengths(self, indices: Indices, epoch: int) -> Indices:
        return self._stretches(indices)[1] + 2 * self.framed

    def _stretches(self, indices: Indices) -> tuple[Indices, Indices, Indices]:
        """Where each row starts in the tokens, its length, and where its document ends."""
        document = np.searchsorted(self.before, indices, side="right") - 1
        start = self.starts[document] + (indices - self.before[document]) * self.width
        end = self.ends[document]
        return start, np.minimum(end - start, self.width), end
