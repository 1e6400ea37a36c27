"""What is promised of the rows that are cut, and of the text that is in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from lightformer.errors import ConfigError, DataError
from lightformer.examples import Corpus
from lightformer.testing.counting import none
from lightformer.testing.examples.trial import (
    VOCABULARY,
    ExamplesTrial,
    corpus,
    place,
    tokens_of,
    whole,
)
from lightformer.testing.promise import DoesNotApply, Figure, promise, truth, worst

EPOCHS = 40
"""In so many, both ends of a text are seen."""

EACH_TOKEN = (
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "document_ids",
    "position_ids",
    "next_token_labels",
)
"""The keys that have a number for each token."""


@promise("examples")
def runs(trial: ExamplesTrial) -> Figure:
    """Every number below its length is a sample.

    Breach: __len__ is too large, or batch() does not take any numbers in any order. It must return input_ids, and
    what else it has, with a row for each sample.
    """

    def measure(corpus: Corpus) -> Figure:
        part = trial.part(corpus)
        count = len(part)
        for numbers in (np.arange(count), np.array([count - 1, 0, count - 1]), np.array([0])):
            batch = part.batch(numbers, 0)
            for key in {"input_ids": None, **batch}:
                if len(batch[key]) != len(numbers):
                    return truth(False, f"{len(batch[key])} rows of {key}, not {len(numbers)}")
        return truth(count > 0, f"{count} samples")

    return trial.each(measure)


@promise("examples", needs=("runs",))
def keys(trial: ExamplesTrial) -> Figure:
    """What a batch holds has the shapes and types that tasks read.

    Breach: input_ids, token_type_ids, document_ids, position_ids and next_token_labels are (batch, seq) and int64, and
    attention_mask is (batch, seq) and bool; next_sentence_labels are (batch,), and all labels are int64. Tokens come
    from disk as uint16.
    """

    def measure(corpus: Corpus) -> Figure:
        batch = whole(trial.part(corpus))
        shape = batch["input_ids"].shape
        for key, value in batch.items():
            dtype = torch.bool if key == "attention_mask" else torch.int64
            if (key in EACH_TOKEN or key.endswith("labels")) and value.dtype != dtype:
                return truth(False, f"{key} of {value.dtype}, not {dtype}")
            expected = shape if key in EACH_TOKEN else value.shape
            if key == "next_sentence_labels":
                expected = shape[:1]
            if value.shape != expected or len(shape) != 2:
                return truth(False, f"{key} {tuple(value.shape)}, not {tuple(expected)}")
        return truth(True, ", ".join(batch))

    return trial.each(measure)


@promise("examples", needs=("keys",))
def vocabulary(trial: ExamplesTrial) -> Figure:
    """Every id is one of the vocabulary.

    Breach: rows are filled up with -1 or -100, which is for labels alone. Fill ids with vocabulary.pad_id.
    """

    def measure(corpus: Corpus) -> Figure:
        ids = whole(trial.part(corpus))["input_ids"]
        return none((ids < 0) | (ids >= VOCABULARY.size), "ids outside")

    return trial.each(measure)


@promise("examples", needs=("vocabulary",))
def padding(trial: ExamplesTrial) -> Figure:
    """attention_mask is true on tokens, and false on padding alone.

    Breach: rows are filled up without an attention_mask, or by another id than vocabulary.pad_id, or the mask is too
    long or too short by one.
    """

    def measure(corpus: Corpus) -> Figure:
        batch = whole(trial.part(corpus))
        return none(tokens_of(batch) == (batch["input_ids"] == VOCABULARY.pad_id), "wrong")

    return trial.each(measure)


@promise("examples", needs=("vocabulary",))
def length(trial: ExamplesTrial) -> Figure:
    """No row is longer than seq_len says.

    Breach: [CLS] and [SEP] are put around seq_len tokens, and not counted.
    """
    most = trial.seq_len()
    if most is None:
        raise DoesNotApply("it has no option seq_len")

    def measure(corpus: Corpus) -> Figure:
        longest = whole(trial.part(corpus))["input_ids"].shape[1]
        return Figure(longest / most, f"{longest} (at most {most})")

    return trial.each(measure)


@promise("examples", needs=("vocabulary",))
def split(trial: ExamplesTrial) -> Figure:
    """No text is read but that of its own split.

    Breach: training and validation are parts of the same corpus.tokens, and it reads these from 0 or up to their end.
    Its own text is from corpus.start to corpus.stop; corpus.bounds() says where each document begins.
    """

    def measure(corpus: Corpus) -> Figure:
        figures = {}
        for training in (True, False):
            batch = whole(trial.part(corpus, training=training))
            for key in ("input_ids", "next_token_labels"):
                found = place(batch.get(key, batch["input_ids"]))
                outside = (found >= 0) & ((found < corpus.start) | (found >= corpus.stop))
                name = f"{key}, {'training' if training else 'evaluation'}"
                figures[name] = none(outside, "from elsewhere")
        return worst(figures)

    return trial.each(measure)


@promise("examples", needs=("split",))
def reaches(trial: ExamplesTrial) -> Figure:
    """The text is seen from its first document to its last.

    Breach: the first or the last document is left out in every epoch, or all samples come from one part of the text.
    """

    def measure(corpus: Corpus) -> Figure:
        part, seen = trial.part(corpus), np.zeros(corpus.num_documents, dtype=bool)
        for epoch in range(EPOCHS):
            found = np.unique(place(whole(part, epoch)["input_ids"]).numpy())
            seen[np.searchsorted(corpus.bounds(), found[found >= 0], side="right") - 1] = True
        for name, document in (("first", 0), ("last", -1)):
            if not seen[document]:
                return truth(False, f"never the {name} document")
        return truth(seen.mean() > 0.5, f"{seen.sum()} of {len(seen)} documents")

    return trial.each(measure)


@promise("examples", needs=("runs",))
def tiny(trial: ExamplesTrial) -> Figure:
    """A text of one token or two works, or is refused by a sentence.

    Breach: something is divided by 0, or a length is negative. Raise a DataError in __init__, or let __len__ be 0.
    """

    def measure(name: str, size: int, training: bool) -> str:
        separator = VOCABULARY.eos_id if name == "plain text" else None
        given = corpus([[size] * (1 + name.startswith("pairs"))], separator)
        if name != "plain text":
            given = replace(given, labels=np.array([1]))
        try:
            part = trial.part(given, training=training)
            if len(part):
                whole(part)
        except (ConfigError, DataError):
            return "refused"
        return "works"

    texts, sizes, ways = trial.corpora(), (1, 2), (True, False)
    found = {measure(name, size, way) for name in texts for size in sizes for way in ways}
    return truth(True, " or ".join(sorted(found)))
