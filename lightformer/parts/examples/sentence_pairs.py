"""Pairs of passages, of which the second follows the first, or does not."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from lightformer.draws import below, uniform
from lightformer.errors import ConfigError, DataError
from lightformer.examples import Batch, Corpus, Examples, Indices, as_batch
from lightformer.layout import frame
from lightformer.registry import register
from lightformer.vocabulary import Vocabulary

Numbers = npt.NDArray[np.float64]

_TRIES = 8
"""How often another document is drawn where one is too short."""


@register("examples", "sentence_pairs", forms=({}, {"negative": "swapped"}))
class SentencePairs(Examples):
    """Makes `[CLS] A [SEP] B [SEP]` out of whole sentences, filled up to the length.

    In half of the pairs B goes on where A stops (label 0); in the others (label 1) B is from another
    document, or the two have changed places, which topic alone does not tell. Pairs are drawn anew in
    each epoch. What is too long loses the start of A or the end of B, so that the border between the
    two stays whole. Nothing but the words tells the two kinds apart: their lengths are drawn alike, and
    a B from elsewhere never opens a document, unless it is all of one.

    Paper: Devlin et al., 2018, arXiv:1810.04805; of swapped: Lan et al., 2019, arXiv:1909.11942
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
        short_share: float = 0.1,
        negative: Literal["other_document", "swapped"] = "other_document",
    ) -> None:
        """
        Args:
            seq_len: number of tokens in a row, at most
            short_share: share of the rows that aim at a shorter, random length
            negative: what does not follow: other_document takes B from elsewhere, swapped puts B before A
        """
        super().__init__(corpus, vocabulary, seed, training)
        if vocabulary.cls_id is None or vocabulary.sep_id is None:
            raise ConfigError(
                "sentence_pairs needs a tokenizer with [CLS] and [SEP], but this one lacks them; "
                "choose another tokenizer.kind."
            )
        extra = sum(map(len, vocabulary.frame(2)))
        if seq_len < extra + 2:
            raise ConfigError(
                f"seq_len must be at least {extra + 2} for two sentences, not {seq_len}."
            )
        if not 0 <= short_share <= 1:
            raise ConfigError(f"short_share must be between 0 and 1, not {short_share}.")
        if negative not in ("other_document", "swapped"):
            raise ConfigError(f"negative must be other_document or swapped, not {negative!r}.")
        self.seq_len, self.room = seq_len, seq_len - extra
        self.short_share = short_share
        self.swapped = negative == "swapped"
        self.document_starts = corpus.bounds()  # (documents + 1,)
        self.sizes = np.diff(self.document_starts)
        self.stops = self.document_starts[1:] - (corpus.separator is not None)  # where text stops
        # Documents that an A can come from, and the tokens of them that lie before each.
        self.anchors = np.flatnonzero(np.diff(corpus.documents) > 1)
        self.before = np.concatenate([[0], np.cumsum(self.sizes[self.anchors])])
        if self.swapped and not len(self.anchors):
            raise DataError(
                "sentence_pairs needs a document with two sentences, but there is none; give more text."
            )
        if not self.swapped and (corpus.num_documents < 2 or not len(self.anchors)):
            raise DataError(
                "sentence_pairs needs at least two documents, one of them with two sentences, but "
                f"there are {corpus.num_documents} and {len(self.anchors)}; "
                "say with document_separator where a document ends, or give more text."
            )

    def __len__(self) -> int:
        return max(1, int(self.before[-1]) // self.room)

    def batch(self, indices: Indices, epoch: int) -> Batch:
        epoch = epoch if self.training else 0

        def draw(purpose: str) -> Numbers:
            return uniform(self.seed, purpose, epoch, indices)

        short = draw("short") < self.short_share
        target = np.where(short, 2 + np.floor(draw("length") * (self.room - 1)), self.room)
        target = target.astype(np.int64)

        document, first = self._anchor(draw("anchor"), indices)
        start_a = self.corpus.sentences[first]
        border = self.corpus.sentences[self._border(draw("border"), first, target, document)]
        # The lengths are settled before it is drawn whether B follows, and say nothing of it.
        length_a = np.minimum(border - start_a, target - np.maximum(target // 4, 1))
        length_b = np.minimum(target - length_a, self.stops[document] - border)

        other = below(2, self.seed, "follows", epoch, indices)
        start_a = border - length_a
        if self.swapped:
            starts = np.where(other, (border, start_a), (start_a, border))
            lengths = np.where(other, (length_b, length_a), (length_a, length_b))
            return self._framed(starts, lengths, other)
        start_r, stop_r = self._elsewhere(indices, epoch, document, length_b)
        start_b = np.where(other, start_r, border)
        length_b = np.where(other, np.minimum(length_b, stop_r - start_r), length_b)
        return self._framed(np.stack([start_a, start_b]), np.stack([length_a, length_b]), other)

    def lengths(self, indices: Indices, epoch: int) -> Indices:
        """Returns the longest that each can be: what it is differs from epoch to epoch."""
        return np.full(len(indices), self.seq_len)

    def _framed(self, starts: Indices, lengths: Indices, other: Indices) -> Batch:
        ids, present, segments = frame(self.corpus, self.vocabulary, [*starts], [*lengths])
        return as_batch(ids, present, token_type_ids=segments, next_sentence_labels=other)

    def _anchor(self, draw: Numbers, indices: Indices) -> tuple[Indices, Indices]:
        """Document and first sentence of A: sample i starts in the i-th stretch of the text."""
        token = np.floor((indices + draw) * self.before[-1] / len(self)).astype(np.int64)
        token = np.minimum(token, self.before[-1] - 1)
        nth = np.searchsorted(self.before, token, side="right") - 1
        document = self.anchors[nth]
        token = self.document_starts[document] + token - self.before[nth]
        sentence = np.searchsorted(self.corpus.sentences, token, side="right") - 1
        return document, np.minimum(sentence, self.corpus.documents[document + 1] - 2)

    def _border(self, draw: Numbers, first: Indices, target: Indices, document: Indices) -> Indices:
        """Sentence before which A stops: one of those that start within the target, and not the first."""
        within = self.corpus.sentences[first] + target
        end = np.searchsorted(self.corpus.sentences, within, side="left")
        end = np.minimum(end, self.corpus.documents[document + 1])  # at least one is left for B
        return first + 1 + np.floor(draw * np.maximum(end - first - 1, 1)).astype(np.int64)

    def _elsewhere(
        self, indices: Indices, epoch: int, document: Indices, length: Indices
    ) -> tuple[Indices, Indices]:
        """Token at which a sentence of another document starts, and where that document stops.

        Each token elsewhere is as likely, among documents that are long enough, if some tries find one.
        """
        stranger = self._another(uniform(self.seed, "other", epoch, indices), document)
        for attempt in range(_TRIES):
            short = np.flatnonzero(self._room_in(stranger) < length)
            if not len(short):
                break
            draw = uniform(self.seed, "other again", epoch, indices[short], attempt)
            stranger[short] = self._another(draw, document[short])
        opening, end = self.corpus.documents[stranger], self.corpus.documents[stranger + 1]
        low = np.where(end - opening > 1, opening + 1, opening)
        latest = self.stops[stranger] - length
        high = np.searchsorted(self.corpus.sentences, latest, side="right") - 1
        high = np.maximum(np.minimum(high, end - 1), low)
        place = uniform(self.seed, "place", epoch, indices)
        sentence = low + np.floor(place * (high - low + 1)).astype(np.int64)
        return self.corpus.sentences[sentence], self.stops[stranger]

    def _another(self, draw: Numbers, document: Indices) -> Indices:
        """Another document; a longer one is likelier."""
        first, size = self.document_starts[document], self.sizes[document]
        total = self.document_starts[-1] - self.document_starts[0]
        token = self.document_starts[0] + np.floor(draw * (total - size)).astype(np.int64)
        token = np.where(token >= first, token + size, token)
        return np.searchsorted(self.document_starts, token, side="right") - 1

    def _room_in(self, document: Indices) -> Indices:
        """How long a B from a document can be, where it does not open it."""
        opening, end = self.corpus.documents[document], self.corpus.documents[document + 1]
        low = np.where(end - opening > 1, opening + 1, opening)
        return self.stops[document] - self.corpus.sentences[low]
