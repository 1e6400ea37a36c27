"""Pairs of passages, of which the second follows the first, or does not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lightformer.draws import below, uniform
from lightformer.errors import ConfigError, DataError
from lightformer.examples import Batch, Corpus, Examples, Indices, as_batch, frame
from lightformer.registry import register
from lightformer.vocabulary import Vocabulary

Numbers = npt.NDArray[np.float64]


@register("examples", "sentence_pairs")
class SentencePairs(Examples):
    """Makes `[CLS] A [SEP] B [SEP]` out of whole sentences, filled up to the length.

    In half of the pairs B goes on where A stops (label 0); in the others B is from another document
    (label 1). Pairs are drawn anew in each epoch. What is too long loses the start of A or the end
    of B, so that the border between the two stays whole. B never opens a document, unless it is the
    whole document: else an opening would give the answer away.

    Paper: Devlin et al., 2018, arXiv:1810.04805
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
    ) -> None:
        """
        Args:
            seq_len: number of tokens in a row, at most
            short_share: share of the rows that aim at a shorter, random length
        """
        super().__init__(corpus, vocabulary, seed, training)
        if vocabulary.cls_id is None or vocabulary.sep_id is None:
            raise ConfigError(
                "sentence_pairs needs a tokenizer with [CLS] and [SEP], but this one lacks them; "
                "choose another tokenizer.kind."
            )
        if seq_len < 5:
            raise ConfigError(f"seq_len must be at least 5 for two sentences, not {seq_len}.")
        if not 0 <= short_share <= 1:
            raise ConfigError(f"short_share must be between 0 and 1, not {short_share}.")
        self.room = seq_len - 3
        self.short_share = short_share
        self.document_starts = corpus.bounds()  # (documents + 1,)
        self.sizes = np.diff(self.document_starts)
        # Documents that an A can come from, and the tokens of them that lie before each.
        self.anchors = np.flatnonzero(np.diff(corpus.documents) > 1)
        self.before = np.concatenate([[0], np.cumsum(self.sizes[self.anchors])])
        if corpus.num_documents < 2 or not len(self.anchors):
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

        document, start_a = self._anchor(draw("anchor"), indices)
        end_b = self._fill(start_a, target, document, at_least=2)
        # A takes some of the sentences, at least one, and leaves at least one.
        end_a = start_a + 1 + np.floor(draw("border") * (end_b - start_a - 1)).astype(np.int64)
        length_a = self._stop(end_a, document) - self.corpus.sentences[start_a]

        other = below(2, self.seed, "follows", epoch, indices)
        stranger, start_r = self._elsewhere(draw("other"), document)
        end_r = self._fill(start_r, target - length_a, stranger, at_least=1)
        document_b = np.where(other, stranger, document)
        start_b = np.where(other, start_r, end_a)
        end_b = np.where(other, end_r, end_b)
        length_b = self._stop(end_b, document_b) - self.corpus.sentences[start_b]

        end_a = self.corpus.sentences[start_a] + length_a
        length_a = np.minimum(length_a, np.maximum(self.room - length_b, self.room // 2))
        length_b = np.minimum(length_b, self.room - length_a)
        ids, present, segments = frame(
            self.corpus,
            self.vocabulary,
            [end_a - length_a, self.corpus.sentences[start_b]],
            [length_a, length_b],
        )
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

    def _elsewhere(self, draw: Numbers, document: Indices) -> tuple[Indices, Indices]:
        """Another document, and a sentence in it; each token elsewhere is as likely."""
        first, size = self.document_starts[document], self.sizes[document]
        total = self.document_starts[-1] - self.document_starts[0]
        token = self.document_starts[0] + np.floor(draw * (total - size)).astype(np.int64)
        token = np.where(token >= first, token + size, token)
        stranger = np.searchsorted(self.document_starts, token, side="right") - 1
        sentence = np.searchsorted(self.corpus.sentences, token, side="right") - 1
        opening, end = self.corpus.documents[stranger], self.corpus.documents[stranger + 1]
        return stranger, np.where(
            (sentence == opening) & (end - opening > 1), opening + 1, sentence
        )

    def _fill(self, start: Indices, target: Indices, document: Indices, at_least: int) -> Indices:
        """Sentence that ends the longest passage from `start` with at most `target` tokens."""
        token = self.corpus.sentences[start] + target
        end = np.searchsorted(self.corpus.sentences, token, side="right") - 1
        return np.clip(end, start + at_least, self.corpus.documents[document + 1])

    def _stop(self, end: Indices, document: Indices) -> Indices:
        """Where the sentence before `end` stops, without the separator of its document."""
        closes = end == self.corpus.documents[document + 1]
        separated = int(self.corpus.separator is not None)
        return np.asarray(self.corpus.sentences[end] - closes * separated)
