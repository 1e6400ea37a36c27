"""What is promised of rows that hold several documents: none has to do with another."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lightformer.examples import IGNORED, Corpus
from lightformer.testing.counting import none
from lightformer.testing.examples.trial import ExamplesTrial, has, place, tokens_of, whole
from lightformer.testing.promise import Figure, promise, truth


def changes(documents: Tensor) -> Tensor:
    """Where a position is of another document than the one before it, (batch, seq); the first of a row is."""
    found = torch.ones_like(documents, dtype=torch.bool)
    found[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return found


@promise("examples", needs=("split", "padding"))
def documents(trial: ExamplesTrial) -> Figure:
    """document_ids tell the documents of a row apart.

    Breach: two documents have one id, so that attention crosses the border between them; or one has several, or stands
    in several places of a row.
    """

    def measure(corpus: Corpus) -> Figure:
        batch = whole(trial.part(corpus))
        ids, numbers = has(batch, "input_ids", "document_ids")
        places, own = place(ids), tokens_of(batch)
        sources = np.searchsorted(corpus.bounds(), places.numpy(), side="right") - 1
        wrong = 0
        for row, text in enumerate((places >= 0) & own):
            found = set(zip(numbers[row][text].tolist(), sources[row][text].tolist(), strict=True))
            all_numbers = numbers[row][own[row]]
            runs = int(changes(all_numbers[None]).sum())
            shared = len({number for number, _ in found}) < len(found)
            wrong += shared or runs > len(set(all_numbers.tolist()))
        goes_on = (places[:, 1:] == places[:, :-1] + 1) & (places[:, :-1] >= 0)
        same = torch.from_numpy(sources[:, 1:] == sources[:, :-1])
        cut = goes_on & same & changes(numbers)[:, 1:]
        if cut.any():
            return none(cut, "documents cut")
        return truth(not wrong, f"{wrong} of {len(ids)} rows wrong")

    return trial.each(measure)


@promise("examples", needs=("documents",))
def positions(trial: ExamplesTrial) -> Figure:
    """position_ids count the tokens of each document from 0.

    Breach: they go on where another document begins, so that its first token is taken for a late one.
    """

    def measure(corpus: Corpus) -> Figure:
        batch = whole(trial.part(corpus))
        (found,) = has(batch, "position_ids")
        column = torch.arange(found.shape[1]).expand_as(found)
        opens = changes(batch.get("document_ids", torch.zeros_like(found)))
        first = column.where(opens, torch.zeros_like(column)).cummax(dim=1).values
        return none(tokens_of(batch) & (found != column - first), "wrong")

    return trial.each(measure)


@promise("examples", needs=("documents", "next tokens"))
def borders(trial: ExamplesTrial) -> Figure:
    """The last token of a document is not asked for the first one of the next.

    Breach: next_token_labels are shifted over a whole row. Put -100 (IGNORED) where document_ids change.
    """

    def measure(corpus: Corpus) -> Figure:
        batch = whole(trial.part(corpus))
        numbers, labels = has(batch, "document_ids", "next_token_labels")
        last, own = changes(numbers)[:, 1:], tokens_of(batch)
        crossed = last & own[:, 1:] & own[:, :-1] & (labels[:, :-1] != IGNORED)
        text = place(labels[:, :-1]) >= 0  # a text may be asked to go on beyond its row
        crossed &= ~text | (labels[:, :-1] == batch["input_ids"][:, 1:])
        return none(crossed, "borders crossed")

    return trial.each(measure)
