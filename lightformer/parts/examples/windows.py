"""Fixed windows over the text."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.stride_tricks import as_strided

from lightformer.draws import below
from lightformer.examples import IGNORED, Batch, Corpus, Examples, Indices, as_batch
from lightformer.layout import frame, room_for_text
from lightformer.registry import register
from lightformer.vocabulary import Vocabulary


@register("examples", "windows")
class Windows(Examples):
    """Cuts the whole text, document after document, into windows of one length.

    `next_token_labels` has at each position the token after it. No position is padding, but in the last window of an
    evaluation, which keeps the end of the text. In training the borders move from epoch to epoch.
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
        special_tokens: bool = False,
    ) -> None:
        """
        Args:
            seq_len: number of tokens in a row
            special_tokens: whether a row is [CLS] ... [SEP], as BERT sees text
        """
        super().__init__(corpus, vocabulary, seed, training)
        self.framed = special_tokens
        self.width = room_for_text(seq_len, vocabulary, framed=special_tokens)
        targets = corpus.stop - corpus.start - (not special_tokens)  # the last one has no next
        if training:
            self.count = max(targets // self.width, 0)
            self.count -= self.count > 1  # room to move the borders
        else:
            self.count = max(-(-targets // self.width), 0)
        self.slack = min(self.width, targets - self.count * self.width + 1)

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: Indices, epoch: int) -> Batch:
        first = self.corpus.start
        if self.training:
            first += int(below(self.slack, self.seed, "window", epoch))
        starts = first + indices * self.width
        if self.framed:
            return self._framed(starts)
        if len(starts) and starts.max() + self.width < self.corpus.stop:  # all are whole
            tokens = torch.from_numpy(self._whole(first)[indices].astype(np.int64))
            return {"input_ids": tokens[:, :-1], "next_token_labels": tokens[:, 1:]}
        positions = starts[:, None] + np.arange(self.width + 1)  # (batch, width + 1)
        present = positions < self.corpus.stop
        tokens = self.corpus.tokens[np.minimum(positions, self.corpus.stop - 1)].astype(np.int64)
        tokens[~present] = self.vocabulary.pad_id
        labels = np.where(present[:, 1:], tokens[:, 1:], IGNORED)
        return as_batch(tokens[:, :-1], present[:, :-1], next_token_labels=labels)

    def _whole(self, first: int) -> npt.NDArray[Any]:
        """All windows from a token on that have a next one, as a look at the text itself."""
        text = self.corpus.tokens[first : self.corpus.stop]
        shape = ((len(text) - 1) // self.width, self.width + 1)
        strides = (text.itemsize * self.width, text.itemsize)
        return as_strided(text, shape, strides, writeable=False)

    def lengths(self, indices: Indices, epoch: int) -> Indices:
        return np.full(len(indices), self.width + 2 * self.framed)

    def _framed(self, starts: Indices) -> Batch:
        lengths = np.minimum(self.width, self.corpus.stop - starts)
        ids, present, _ = frame(self.corpus, self.vocabulary, [starts], [lengths])
        labels = np.full_like(ids, IGNORED)
        labels[:, :-1] = np.where(present[:, 1:], ids[:, 1:], IGNORED)
        return as_batch(ids, present, next_token_labels=labels)
