"""How a text is cut into samples: the contract of `examples`, and the namespace of its specs.

An `Examples` sees a `Corpus`, which is all text as one array of tokens, and gives any batch of its
samples at once. What a sample holds is a pure function of (seed, epoch, number of the sample).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightformer.registry import Spec, namespace
from lightformer.vocabulary import Vocabulary

IGNORED = -100
"""The label of a position that is not predicted."""

Indices = npt.NDArray[np.int64]
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Corpus:
    """Documents made of sentences made of tokens, as three flat arrays.

    Args:
        tokens: every token, in order of reading; memory-mapped where it comes from disk
        sentences: where each sentence starts in `tokens`, and where the last one ends
        documents: where each document starts in `sentences`, and where the last one ends
        separator: token that stands at the end of each document, if any
        labels: class of each document, where it has one
    """

    tokens: npt.NDArray[Any]
    sentences: Indices
    documents: Indices
    separator: int | None = None
    labels: Indices | None = None

    @property
    def num_documents(self) -> int:
        return len(self.documents) - 1

    def bounds(self) -> Indices:
        """Returns where each document starts in `tokens`, and where the last one ends."""
        return self.sentences[self.documents]

    @property
    def start(self) -> int:
        """Where the first document starts in `tokens`."""
        return int(self.sentences[self.documents[0]])

    @property
    def stop(self) -> int:
        """Where the last document ends in `tokens`, without its separator."""
        end = int(self.sentences[self.documents[-1]])
        return end if self.separator is None or end == self.start else end - 1

    def split(self, share: float) -> tuple[Corpus, Corpus]:
        """Returns the first documents, and the last ones with about `share` of all tokens.

        A single document is cut between two tokens.
        """
        cut = self.start + int((self.stop - self.start) * (1 - share))
        if self.num_documents > 1:
            document = int(np.abs(self.bounds()[1:-1] - cut).argmin()) + 1
            labels = (None, None)
            if self.labels is not None:
                labels = (self.labels[:document], self.labels[document:])  # type: ignore[assignment]
            return (
                replace(self, documents=self.documents[: document + 1], labels=labels[0]),
                replace(self, documents=self.documents[document:], labels=labels[1]),
            )
        inner = self.sentences[(self.sentences > self.start) & (self.sentences < self.stop)]
        return (
            _single(self, np.array([self.start, *inner[inner < cut], cut])),
            _single(self, np.array([cut, *inner[inner > cut], self.stop])),
        )


def _single(corpus: Corpus, sentences: Indices) -> Corpus:
    documents = np.array([0, len(sentences) - 1])
    return replace(corpus, sentences=sentences, documents=documents, separator=None)


class Examples(abc.ABC):
    """Cuts a corpus into samples.

    Args:
        corpus: the text
        vocabulary: its special tokens
        seed: all that is drawn depends on it
        training: whether samples may differ between epochs; for evaluation they never do
    """

    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, seed: int, training: bool, /
    ) -> None:
        self.corpus = corpus
        self.vocabulary = vocabulary
        self.seed = seed
        self.training = training

    @abc.abstractmethod
    def __len__(self) -> int:
        """Returns the number of samples in an epoch; the same in each."""

    @abc.abstractmethod
    def batch(self, indices: Indices, epoch: int) -> Batch:
        """Returns the samples of these numbers, as the batch that a task expects.

        The keys: `input_ids`, and where there is something to tell `attention_mask` (True = a
        token), `token_type_ids`, `next_token_labels` (the token after each position, -100 for none),
        `labels` (one class a row) and `next_sentence_labels`.
        """


class ExamplesSpec(Spec, kind="examples", builds=Examples):
    """A choice of samples."""


def frame(
    corpus: Corpus, vocabulary: Vocabulary, starts: list[Indices], lengths: list[Indices]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Lays segments out as `[CLS] A [SEP] B [SEP]`, a row each, padded to the longest.

    A tokenizer without [CLS] or [SEP] gets rows without.

    Args:
        corpus: where the tokens are
        vocabulary: the special tokens
        starts: for each segment, where it starts in the tokens of the corpus, a row each
        lengths: for each segment, its number of tokens, a row each

    Returns:
        The ids, which of them are no padding, and the segment of each; all (batch, seq).
    """
    cls_id, sep_id = vocabulary.cls_id, vocabulary.sep_id
    total = sum(lengths) + (cls_id is not None) + (sep_id is not None) * len(starts)
    column = np.arange(np.max(total))[None]  # (1, seq)
    ids = np.full((len(starts[0]), column.size), vocabulary.pad_id, dtype=np.int64)
    segments = np.zeros_like(ids)
    position = np.zeros(len(ids), dtype=np.int64)
    if cls_id is not None:
        ids[:, 0] = cls_id
        position += 1
    for number, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        offset = column - position[:, None]  # (batch, seq)
        rows, columns = np.nonzero((offset >= 0) & (offset < length[:, None]))
        ids[rows, columns] = corpus.tokens[start[rows] + offset[rows, columns]]
        position = position + length
        if sep_id is not None:
            ids[np.arange(len(ids)), position] = sep_id
            position = position + 1
        segments[(offset >= 0) & (column < position[:, None])] = number
    return ids, column < np.asarray(total)[:, None], segments


def as_batch(
    ids: npt.NDArray[np.int64], present: npt.NDArray[np.bool_], **others: npt.NDArray[np.int64]
) -> Batch:
    """Returns arrays as a batch; a mask that hides nothing is left out."""
    batch = {"input_ids": torch.from_numpy(ids)}
    if not present.all():
        batch["attention_mask"] = torch.from_numpy(present)
    return batch | {name: torch.from_numpy(value) for name, value in others.items()}


__getattr__ = namespace("examples")
