"""How a text is cut into samples: the contract of `examples`, and the namespace of its specs.

An `Examples` sees a `Corpus`, which is all text as one array of tokens, and gives any batch of its
samples at once. What a sample holds is a pure function of (seed, epoch, number of the sample).
"""

from __future__ import annotations

import abc
from bisect import bisect_left
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

_AT_ONCE = 1024

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

    def texts(self, *, with_separator: bool) -> tuple[Indices, Indices]:
        """Returns where the text of each document starts in `tokens`, and where it ends."""
        bounds = self.bounds()
        starts, ends = bounds[:-1], bounds[1:]
        if self.separator is not None and not with_separator:
            ends = np.maximum(ends - 1, starts)
        return starts, ends

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
            document = self._nearest(cut)
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

    def _nearest(self, token: int) -> int:
        """Returns the document, not the first, that starts nearest to a token; of several, the first.

        It looks at few of them, as there may be more than memory holds.
        """

        def start(document: int) -> int:
            return int(self.sentences[self.documents[document]])

        inside = range(1, self.num_documents)
        after = min(bisect_left(inside, token, key=start), len(inside) - 1)
        low, high = start(inside[max(after - 1, 0)]), start(inside[after])
        nearest = low if token - low <= high - token else high
        return inside[bisect_left(inside, nearest, key=start)]


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

    way_out = "raise it"
    """What a user can do about a `seq_len` for which documents lose tokens."""

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
        `labels` (one class a row), `next_sentence_labels`, and of rows that hold several documents
        `document_ids` and `position_ids`.
        """

    def shortened(self) -> int:
        """Returns how many documents lose tokens, since they are longer than a row may be; here none does."""
        return 0

    def lengths(self, indices: Indices, epoch: int) -> Indices:
        """Returns the number of tokens in each of these samples, by which they can be grouped.

        Here the rows are made for it. Say it without, where that can be done.
        """
        found = [np.zeros(0, dtype=np.int64)]
        for first in range(0, len(indices), _AT_ONCE):
            batch = self.batch(indices[first : first + _AT_ONCE], epoch)
            ids = batch["input_ids"]
            found.append(batch.get("attention_mask", torch.ones_like(ids)).sum(dim=1).numpy())
        return np.concatenate(found)


class ExamplesSpec(Spec, kind="examples", builds=Examples):
    """A choice of samples."""


def as_batch(
    ids: npt.NDArray[np.int64], present: npt.NDArray[np.bool_], **others: npt.NDArray[np.int64]
) -> Batch:
    """Returns arrays as a batch; a mask that hides nothing is left out."""
    batch = {"input_ids": torch.from_numpy(ids)}
    if not present.all():
        batch["attention_mask"] = torch.from_numpy(present)
    return batch | {name: torch.from_numpy(value) for name, value in others.items()}


__getattr__ = namespace("examples")
