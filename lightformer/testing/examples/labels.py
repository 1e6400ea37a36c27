"""What is promised of what is asked: of tokens, of segments, of documents."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lightformer.examples import IGNORED, Batch, Corpus
from lightformer.testing.counting import none
from lightformer.testing.examples.trial import (
    FIRST,
    ExamplesTrial,
    has,
    place,
    tokens_of,
    whole,
)
from lightformer.testing.promise import DoesNotApply, Figure, promise, truth

NOWHERE = 2**40
"""After the end of every text."""


def following(batch: Batch, corpus: Corpus) -> tuple[Tensor, Tensor]:
    """Returns the token after each position, (batch, seq), IGNORED for none, and where it is known."""
    ids, tokens = batch["input_ids"], tokens_of(batch)
    inside = torch.zeros_like(tokens)
    inside[:, :-1] = tokens[:, :-1] & tokens[:, 1:]  # those with a next one in their row
    found = torch.where(inside, ids.roll(-1, dims=1), IGNORED)
    last = tokens & ~inside & (place(ids) >= 0)  # of a row: the text goes on
    after = torch.from_numpy(np.append(corpus.tokens.astype(np.int64), IGNORED))
    after[corpus.bounds()[-1] :] = IGNORED
    found[last] = after[place(ids)[last] + 1]
    return found, inside | last | ~tokens


@promise("examples", needs=("split", "padding"))
def next_tokens(trial: ExamplesTrial) -> Figure:
    """next_token_labels have the token that comes next.

    Breach: they are not shifted by one, or to the wrong side; or what follows a padding is asked for, where -100
    (IGNORED) must stand.
    """

    def measure(corpus: Corpus) -> Figure:
        batch = whole(trial.part(corpus))
        (labels,) = has(batch, "next_token_labels")
        expected, known = following(batch, corpus)
        asked = labels != IGNORED
        wrong = none(asked & known & (labels != expected), "wrong")
        return truth(bool(asked.any()), f"{int(asked.sum())} asked") if wrong.held else wrong

    return trial.each(measure)


@promise("examples", needs=("padding",))
def segments(trial: ExamplesTrial) -> Figure:
    """token_type_ids number the segments of a row from 0.

    Breach: the first segment is not 0, or the numbers do not rise by one from segment to segment.
    """

    def measure(corpus: Corpus) -> Figure:
        batch = whole(trial.part(corpus))
        (kinds,) = has(batch, "token_type_ids")
        wrong = 0
        for row, own in zip(kinds, tokens_of(batch), strict=True):
            steps = np.diff(row[own].numpy())
            wrong += int(row[own][0] != 0 or not set(steps.tolist()) <= {0, 1})
        return truth(not wrong, f"{wrong} of {len(kinds)} rows wrong")

    return trial.each(measure)


@promise("examples", needs=("segments", "split"))
def pairs(trial: ExamplesTrial) -> Figure:
    """next_sentence_labels: 0 where the second text follows, else 1.

    Breach: 0 and 1 are swapped, or the second text does not begin just where the first one ends.
    """

    def measure(corpus: Corpus) -> Figure:
        batch = whole(trial.part(corpus))
        labels, ids, kinds = has(batch, "next_sentence_labels", "input_ids", "token_type_ids")
        places = place(ids)
        first = places.masked_fill(kinds != 0, -1).max(dim=1).values
        second = places.masked_fill((kinds != 1) | (places < 0), NOWHERE).min(dim=1).values
        known = (first >= 0) & (second < NOWHERE)
        rank = torch.from_numpy(np.cumsum(corpus.tokens >= FIRST))  # separators stand between texts
        follows = rank[second.where(known, 0)] == rank[first.where(known, 0)] + 1
        wrong = none(known & (labels != IGNORED) & (labels != (~follows).long()), "wrong")
        found = f"{int(follows[known].sum())} of {int(known.sum())} follow"
        return truth(True, found) if wrong.held else wrong

    return trial.each(measure)


@promise("examples", needs=("split",))
def classes(trial: ExamplesTrial) -> Figure:
    """labels are the classes of the documents in the rows.

    Breach: rows were sorted or drawn, and labels were not. corpus.labels has one for each document of the split, in
    their order, as corpus.documents has.
    """

    def measure(corpus: Corpus) -> Figure:
        batch = whole(trial.part(corpus))
        labels, ids = has(batch, "labels", "input_ids")
        if corpus.labels is None or labels.ndim != 1:
            raise DoesNotApply("its labels are no classes of documents")
        places = place(ids)
        first = places.masked_fill(places < 0, NOWHERE).min(dim=1).values
        document = np.searchsorted(corpus.bounds(), first.numpy(), side="right") - 1
        return none(labels != torch.from_numpy(corpus.labels[document]), "wrong")

    return trial.each(measure)
