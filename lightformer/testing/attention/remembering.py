"""What is remembered, and what comes from another sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lightformer.backbone import Backbone
from lightformer.testing.attention.trial import LATER, SEQ, AttentionTrial
from lightformer.testing.promise import (
    DoesNotApply,
    Figure,
    change,
    difference,
    promise,
    worst,
)


def in_pieces(
    model: Backbone,
    ids: Tensor,
    sizes: tuple[int, ...],
    is_token: Tensor | None,
    document_ids: Tensor | None = None,
    **more: Any,
) -> Iterator[Tensor]:
    """Hidden states by way of a cache, as many tokens at a time as told."""
    cache, start = model.new_cache(), 0
    if cache is None:
        raise DoesNotApply("it has no cache")
    for size in sizes:
        piece = slice(start, start + size)
        mask = None if is_token is None else is_token[:, piece]
        own = None if document_ids is None else document_ids[:, piece]
        yield model(ids[:, piece], attention_mask=mask, document_ids=own, cache=cache, **more)
        start += size


@promise("attention", needs=("causal", "padding"))
@torch.no_grad()
def cached(trial: AttentionTrial) -> Figure:
    """A cache, by token or in pieces, gives what all at once gives.

    Breach: the cache forgets or repeats something, or new queries take the wrong positions.
    """
    sizes = {
        "by token": (4, 1, 1, 1, 1, 1, 1, 1),
        "from nothing": (1,) * 11,
        "in pieces": (5, 3, 3),
    }

    def measure(model: Backbone) -> Figure:
        ids, is_token = trial.tokens(2, 11), torch.ones(2, 11, dtype=torch.bool)
        is_token[1, :2] = False
        figures = {}
        for name, given in sizes.items():
            for mask, label in ((None, name), (is_token, f"{name}, padded")):
                found = torch.cat(list(in_pieces(model, ids, given, mask)), dim=1)
                seen = torch.ones_like(is_token) if mask is None else is_token
                expected = model(ids, attention_mask=mask)
                figures[label] = difference(found[seen], expected[seen])
        return worst(figures)

    return trial.each(measure)


@promise("attention", needs=("cached",))
@torch.no_grad()
def cache_rows(trial: AttentionTrial) -> Figure:
    """The rows of a cache can be chosen, doubled and reordered.

    Breach: `select` of the cache leaves something as it was.
    """
    rows = torch.tensor([2, 0, 0, 1])

    def measure(model: Backbone) -> Figure:
        ids, is_token = trial.tokens(3), torch.ones(3, SEQ, dtype=torch.bool)
        is_token[2, :2] = False
        cache = model.new_cache()
        if cache is None:
            raise DoesNotApply("it has no cache")
        model(ids[:, :LATER], attention_mask=is_token[:, :LATER], cache=cache)
        cache.select(rows)
        mask = is_token[rows]
        found = model(ids[rows, LATER:], attention_mask=mask[:, LATER:], cache=cache)
        return difference(found, model(ids[rows], attention_mask=mask)[:, LATER:])

    return trial.each(measure)


@promise("attention", needs=("packed", "cached"))
@torch.no_grad()
def cached_packed(trial: AttentionTrial) -> Figure:
    """A cache of packed rows gives what all at once gives, and goes on with the last document.

    Breach: what is remembered is not told apart by context.mask.key_documents, or not forgotten when a document ends.
    """
    documents = torch.tensor([[0] * 4 + [1] * 7, [2] * 5 + [3] + [4] * 5])
    sizes = {
        "all": (11,),
        "by token": (1,) * 11,
        "in pieces": (5, 3, 3),
        "at borders": (4, 1, 1, 5),
    }

    def measure(model: Backbone) -> Figure:
        ids, figures = trial.tokens(2, 11), dict[str, Figure]()
        expected = model(ids, document_ids=documents)
        for name, given in sizes.items():
            pieces = in_pieces(model, ids, given, None, document_ids=documents)
            figures[name] = difference(torch.cat(list(pieces), dim=1), expected)
        cache = model.new_cache()
        model(ids[:, :8], document_ids=documents[:, :8], cache=cache)
        figures["not told"] = difference(model(ids[:, 8:], cache=cache), expected[:, 8:])
        return worst(figures)

    return trial.each(measure)


@promise("attention", needs=("steady", "sees", "batch", "packed"))
def memory(trial: AttentionTrial) -> Figure:
    """Another sequence is read, save for padding and other documents.

    Breach: forward does not read context.memory, or hides by the wrong mask.
    """

    def measure(model: Backbone) -> Figure:
        ids = trial.tokens()
        other = torch.randn(2, 11, trial.sizes.hidden_size, dtype=torch.float64)
        is_token = torch.ones(2, 11, dtype=torch.bool)
        is_token[:, 8:] = False
        plain = model(ids, memory=other[:, :8])
        own = torch.tensor([[0] * 3 + [1] * 2 + [2] * 2] * 2)
        theirs = torch.tensor([[0] * 5 + [1] * 4 + [2] * 2] * 2)
        packed = model(ids, memory=other, document_ids=own, memory_document_ids=theirs)
        documents = {
            f"document {n}": difference(
                packed[:, own[0] == n],
                model(ids[:, own[0] == n], memory=other[:, theirs[0] == n]),
            )
            for n in range(3)
        }
        return worst(
            {
                **documents,
                "padding": difference(model(ids, memory=other, memory_mask=is_token), plain),
                "other memory": change(model(ids, memory=other[:, :8] + 1.0), plain),
            }
        )

    return trial.each(measure, has_memory=True)


@promise("attention", needs=("memory", "cached packed"))
@torch.no_grad()
def cached_memory(trial: AttentionTrial) -> Figure:
    """A cached decoder reads the other sequence as an uncached one does, packed too.

    Breach: keys and values of the other sequence are added again at each step, or are not kept.
    """

    def measure(model: Backbone) -> Figure:
        ids = trial.tokens()
        other = torch.randn(2, 11, trial.sizes.hidden_size, dtype=torch.float64)
        given = {"memory": other, "memory_mask": torch.rand(2, 11) > 0.4}
        own, theirs = torch.tensor([[0] * 4 + [1] * 3] * 2), torch.tensor([[0] * 5 + [1] * 6] * 2)
        figures = {}
        for name, documents in (("padded", None), ("packed", own)):
            if documents is not None:
                given["memory_document_ids"] = theirs
            pieces = in_pieces(model, ids, (3, 1, 1, 2), None, documents, **given)
            expected = model(ids, document_ids=documents, **given)
            figures[name] = difference(torch.cat(list(pieces), dim=1), expected)
        return worst(figures)

    return trial.each(measure, has_memory=True)
