"""Rows with a class."""

from __future__ import annotations

import numpy as np

from lightformer.errors import ConfigError
from lightformer.examples import Batch, Corpus, Examples, Indices, as_batch, frame
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
        extra = (vocabulary.cls_id is not None) + (vocabulary.sep_id is not None) * (1 + self.pairs)
        self.room = seq_len - extra
        if self.room < 1 + self.pairs:
            raise ConfigError(f"seq_len must be at least {extra + 1 + self.pairs}, not {seq_len}.")

    def __len__(self) -> int:
        return self.corpus.num_documents

    def batch(self, indices: Indices, epoch: int) -> Batch:
        first = self.corpus.documents[indices]
        start = self.corpus.sentences[first]
        length = self.corpus.sentences[first + 1] - start
        labels = self.labels[indices]
        if not self.pairs:
            length = np.minimum(length, self.room)
            ids, present, _ = frame(self.corpus, self.vocabulary, [start], [length])
            return as_batch(ids, present, labels=labels)
        second = self.corpus.sentences[first + 1]
        other = self.corpus.sentences[first + 2] - second
        length = np.minimum(length, np.maximum(self.room - other, self.room - self.room // 2))
        other = np.minimum(other, self.room - length)
        starts, lengths = [start, second], [length, other]
        ids, present, segments = frame(self.corpus, self.vocabulary, starts, lengths)
        return as_batch(ids, present, token_type_ids=segments, labels=labels)
