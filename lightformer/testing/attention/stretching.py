"""What holds of short sequences holds of long ones."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from lightformer.backbone import Backbone
from lightformer.testing.attention.remembering import in_pieces
from lightformer.testing.attention.trial import AttentionTrial
from lightformer.testing.promise import Figure, difference, promise, worst

LONG, BORDER = 520, 250
STARTS = (1, 64, 65, 129, 257, 513)
"""Lengths around those at which chunks might end."""

PIECES = (1, 70, 56, 1, 1, 1, 125, 1, 1, 1, 253, 1, 1, 1, 6)
"""Of a cache: single tokens stand around 128, 256 and 512."""


def _longer(trial: AttentionTrial) -> AttentionTrial:
    """With room for so many tokens, and one layer, which is cheaper."""
    sizes = dataclasses.replace(trial.sizes, max_seq_len=LONG, num_layers=1)
    return dataclasses.replace(trial, sizes=sizes)


def _two_documents() -> Tensor:
    return (torch.arange(LONG) >= BORDER).long()[None]


@promise("attention", needs=("causal", "padding", "packed"))
@torch.no_grad()
def lengths(trial: AttentionTrial) -> Figure:
    """What holds of a short sequence holds of a long one.

    Breach: where a sequence is cut into chunks, a border is wrong; or something depends on the length.
    """

    def beginnings(model: Backbone) -> Figure:
        ids = trial.tokens(1, LONG)
        whole = model(ids)
        return worst(
            {f"the first {n}": difference(whole[:, :n], model(ids[:, :n]), 1e-8) for n in STARTS}
        )

    def documents(model: Backbone) -> Figure:
        ids = trial.tokens(1, LONG)
        packed = model(ids, document_ids=_two_documents())
        first, second = model(ids[:, :BORDER]), model(ids[:, BORDER:])
        return worst(
            {
                "the first": difference(packed[:, :BORDER], first, 1e-8),
                "the second": difference(packed[:, BORDER:], second, 1e-8),
            }
        )

    def padding(model: Backbone) -> Figure:
        ids = trial.tokens(1, LONG)
        found = model(ids, attention_mask=_two_documents() == 0)[:, :BORDER]
        return difference(found, model(ids[:, :BORDER]), 1e-8)

    long = _longer(trial)
    return worst(
        {
            f"of {LONG} tokens": long.each(beginnings),
            f"of two documents in {LONG} tokens": long.both_ways(documents),
            "before much padding": long.each(padding, is_causal=False),
        }
    )


@promise("attention", needs=("lengths", "cached packed"))
@torch.no_grad()
def cached_lengths(trial: AttentionTrial) -> Figure:
    """A cache gives what all at once gives, of a long sequence too.

    Breach: the cache keeps fewer tokens than a window sees, or a piece that ends within a chunk is wrong.
    """

    def measure(model: Backbone) -> Figure:
        ids, figures = trial.tokens(1, LONG), {}
        for name, documents in {"one document": None, "packed": _two_documents()}.items():
            pieces = in_pieces(model, ids, PIECES, None, documents)
            expected = model(ids, document_ids=documents)
            figures[name] = difference(torch.cat(list(pieces), dim=1), expected, 1e-8)
        return worst(figures)

    return _longer(trial).each(measure)
