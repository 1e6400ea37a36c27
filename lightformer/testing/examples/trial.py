"""A way of cutting, and the texts that it is tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from lightformer.errors import ConfigError, DataError
from lightformer.examples import Batch, Corpus, Examples, ExamplesSpec
from lightformer.testing.promise import DoesNotApply, Figure, trial, worst
from lightformer.testing.sizes import Sizes
from lightformer.vocabulary import Vocabulary

SEED, EPOCH = 3, 2
VOCABULARY = Vocabulary(
    size=2**24, pad_id=7, unk_id=0, cls_id=5, sep_id=9, mask_id=3, eos_id=9, labels=("a", "b", "c")
)
FIRST = 11
"""The lowest id that is text: token number n of a text has the id FIRST + n, so that each occurs once."""

LONGEST = 128
"""How long samples are taken to be, where there is no option seq_len."""


@trial("examples")
@dataclass(frozen=True)
class ExamplesTrial:
    """A way of cutting, and the texts that it is tried on."""

    spec: ExamplesSpec
    sizes: Sizes = field(default_factory=Sizes)

    def part(self, corpus: Corpus, *, seed: int = SEED, training: bool = True) -> Examples:
        return self.spec(corpus, VOCABULARY, seed, training)

    def seq_len(self) -> int | None:
        """The option of that name, which is the length of a sample."""
        value = self.spec.options().get("seq_len")
        return value if isinstance(value, int) else None

    def corpora(self) -> dict[str, Corpus]:
        """Returns the texts that it accepts.

        Raises:
            ConfigError: it accepts none.
        """
        length = max(LONGEST, self.seq_len() or 0)
        given = {
            "plain text": plain(length),
            "texts with classes": labelled(length, sentences=1),
            "pairs with classes": labelled(length, sentences=2),
        }
        found, refusals = {}, []
        for name, corpus in given.items():
            try:
                self.part(corpus)
            except (ConfigError, DataError) as error:
                refusals.append(str(error))
            else:
                found[name] = corpus
        if not found:
            raise ConfigError(refusals[0])
        return found

    def each(self, measure: Callable[[Corpus], Figure]) -> Figure:
        """The worst figure over all texts that it accepts, save those without what is measured."""
        figures, lacks = {}, []
        for name, corpus in self.corpora().items():
            try:
                figures[name] = measure(corpus)
            except DoesNotApply as reason:
                lacks.append(reason)
        if not figures:
            raise lacks[0]
        return worst(figures)


def plain(length: int) -> Corpus:
    """The middle of a text, long documents at both of its ends, with a separator after each document."""
    draw = np.random.default_rng(1)
    counts = draw.integers(1, 9, size=length)
    sizes = [draw.integers(2, 13, size=count).tolist() for count in counts]
    long, others = [7] * (length // 7), sizes[:20]
    found = corpus([*others, long, *sizes, long, *others], VOCABULARY.eos_id)
    return replace(found, documents=found.documents[20:-20])


def labelled(length: int, sentences: int) -> Corpus:
    """The middle of a text of documents with classes, of all lengths up to beyond a sample."""
    draw = np.random.default_rng(2)
    sizes = draw.integers(2, length, size=(87, sentences))
    sizes[[20, 66]] = length
    found = corpus(sizes.tolist(), None)
    return replace(found, documents=found.documents[20:-20], labels=draw.integers(0, 3, size=47))


def corpus(documents: list[list[int]], separator: int | None) -> Corpus:
    """Returns a text in which each token occurs once; `documents` are lengths of sentences.

    As from disk, it cannot be written to.
    """
    sentences = np.cumsum([0, *(size for document in documents for size in document)])
    borders = np.cumsum([0, *map(len, documents)])
    tokens = np.arange(FIRST, FIRST + sentences[-1])
    if separator is not None:
        tokens[sentences[borders[1:]] - 1] = separator
    tokens = tokens.astype(np.uint16 if tokens.max() < 2**16 else np.uint32)
    for array in (tokens, sentences, borders):
        array.setflags(write=False)
    return Corpus(tokens, sentences, borders, separator)


def whole(part: Examples, epoch: int = EPOCH) -> Batch:
    """Returns all samples in one batch."""
    return part.batch(np.arange(len(part)), epoch)


def tokens_of(batch: Batch) -> Tensor:
    """Which ids are no padding, (batch, seq)."""
    ids = batch["input_ids"]
    return batch.get("attention_mask", torch.ones_like(ids, dtype=torch.bool))


def place(ids: Tensor) -> Tensor:
    """Where ids stand in the text; -1 for what is no text."""
    return (ids - FIRST).clamp(min=-1)


def has(batch: Batch, *keys: str) -> list[Tensor]:
    """Returns the values of these keys.

    Raises:
        DoesNotApply: one is not there.
    """
    for key in keys:
        if key not in batch:
            raise DoesNotApply(f"it makes no {key}")
    return [batch[key] for key in keys]
