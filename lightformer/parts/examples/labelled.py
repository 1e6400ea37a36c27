"""Rows with a class."""

from __future__ import annotations

import numpy as np

from lightformer.errors import ConfigError
from lightformer.examples import Batch, Corpus, Examples, Indices, as_batch
from lightformer.layout import frame
from lightformer.registry import register
from lightformer.vocabulary import Vocabulary


@register("examples", "labelled")
class Labelled(Examples):
    """Makes `[CLS] text [SEP]`, or `[CLS] first [SEP] second [SEP]`, with one label a row.

    A batch is padded to its longest row. A row that is too long loses its end; of a pair the longer
    text loses first.
    """

    def __init__(
        self,
        corpus: Corpus,
        vocabulary: Vocabulary,
        seed: int,
        training: bool,
        /,
        *,
        seq_len: int = 128,
    ) -> None:
        """
        Args:
            seq_len: number of tokens in a row, at most
        """
        super().__init__(corpus, vocabulary, seed, training)
        if corpus.labels is None:
            raise ConfigError(
                "examples 'labelled' needs data with labels, but this is plain text; "
                "choose windows or sentence_pairs, or another data module."
            )
        self.labels = corpus.labels
        columns = np.diff(corpus.documents)
        self.pairs = bool(len(columns) and columns[0] == 2)
        self.extra = sum(map(len, vocabulary.frame(1 + self.pairs)))
        self.room = seq_len - self.extra
        if self.room < 1 + self.pairs:
            least = self.extra + 1 + self.pairs
            raise ConfigError(f"seq_len must be at least {least}, not {seq_len}.")

    def __len__(self) -> int:
        return self.corpus.num_documents

    def shortened(self) -> int:
        return int(np.count_nonzero(np.diff(self.corpus.bounds()) > self.room))

    def lengths(self, indices: Indices, epoch: int) -> Indices:
        _, lengths = self._segments(indices)
        return np.asarray(sum(lengths) + self.extra)

    def batch(self, indices: Indices, epoch: int) -> Batch:
        starts, lengths = self._segments(indices)
        ids, present, segments = frame(self.corpus, self.vocabulary, starts, lengths)
        labels = self.labels[indices]
        if not self.pairs:
            return as_batch(ids, present, labels=labels)
        return as_batch(ids, present, token_type_ids=segments, labels=labels)

    def _segments(self, indices: Indices) -> tuple[list[Indices], list[Indices]]:
        """Where the texts of each row start, and their lengths."""
        first = self.corpus.documents[indices]
        start = self.corpus.sentences[first]
        length = self.corpus.sentences[first + 1] - start
        if not self.pairs:
            return [start], [np.minimum(length, self.room)]
        second = self.corpus.sentences[first + 1]
        other = self.corpus.sentences[first + 2] - second
        length = np.minimum(length, np.maximum(self.room - other, self.room - self.room // 2))
        return [start, second], [length, np.minimum(other, self.room - length)]
