"""What a model makes of it: what is hidden stays hidden, a cache goes on, and where its places end."""

from __future__ import annotations

import torch

from lightformer.backbone import Backbone
from lightformer.testing.attention.remembering import in_pieces
from lightformer.testing.position.trial import (
    LATER,
    SEQ,
    SWAP,
    PositionTrial,
    ask,
    places,
)
from lightformer.testing.promise import Figure, change, difference, promise, truth, worst
from lightformer.testing.sizes import around


@promise("position", needs=("rows", "pieces"))
def causal(trial: PositionTrial) -> Figure:
    """In a causal model what comes later changes nothing.

    Breach: rotate or content_bias reads tokens that stand after the query, as a sum over all keys does.
    """
    model, ids = trial.model(), trial.tokens()
    other = ids.clone()
    other[:, LATER:] = (other[:, LATER:] + 1) % trial.sizes.vocab_size
    return difference(model(other)[:, :LATER], model(ids)[:, :LATER])


@promise("position", needs=("causal",))
def hidden(trial: PositionTrial) -> Figure:
    """Padding and other documents in the row change nothing.

    Breach: content_bias makes a score out of other keys than its own, and so of some that are hidden.
    """
    ids, documents = trial.tokens(), torch.tensor([[0] * 4 + [1] * 5 + [2] * 2])

    def measure(model: Backbone) -> Figure:
        expected, figures = model(ids), {}
        for name, left, right in (("padding on the right", 0, 3), ("padding on the left", 4, 0)):
            wide, is_token = around(ids, left, right, trial.sizes.vocab_size)
            found = model(wide, attention_mask=is_token)[:, left : left + SEQ]
            figures[name] = difference(found, expected)
        row = trial.tokens(1, 11)
        packed = model(row, document_ids=documents)
        for start, stop in ((0, 4), (4, 9), (9, 11)):
            apart = model(row[:, start:stop])
            figures[f"document of tokens {start} to {stop}"] = difference(
                packed[:, start:stop], apart
            )
        return worst(figures)

    return trial.both_ways(measure)


@promise("position", needs=("order", "ids", "hidden"))
def behind(trial: PositionTrial) -> Figure:
    """A causal model knows how far back a token stands.

    Breach: a slip of a sign, so that only keys after the query are told apart, which a causal model never sees.
    """
    ask(trial.part(), trial.question(places(0, 1)))
    model, ids = trial.model(is_causal=True), trial.tokens()
    return change(model(ids, position_ids=2 * torch.arange(SEQ)[None]), model(ids))


@promise("position", needs=("hidden",))
@torch.no_grad()
def cached(trial: PositionTrial) -> Figure:
    """A cache, by token or in pieces, gives what all at once gives.

    Breach: a single query is treated otherwise than several, and wrongly.
    """
    model, ids = trial.model(), trial.tokens(2, 11)
    is_token = torch.ones(2, 11, dtype=torch.bool)
    is_token[1, :2] = False
    figures = {}
    for name, sizes in {"by token": (4, *[1] * 7), "in pieces": (5, 3, 3)}.items():
        found = torch.cat(list(in_pieces(model, ids, sizes, is_token)), dim=1)
        expected = model(ids, attention_mask=is_token)
        figures[name] = difference(found[is_token], expected[is_token])
    return worst(figures)


@promise("position", needs=("order", "ids"))
@torch.no_grad()
def longest(trial: PositionTrial) -> Figure:
    """Places are told apart up to `longest`, without it up to any.

    Breach: `longest` is not set where a table ends, or is more than it holds; or all ids from some end on are taken
    for one place, or begin anew, as `ids % n` does.
    """
    part, model = trial.part(), trial.model(is_causal=False)
    ask(part, trial.question(places(0, 1)))
    ids, last = torch.arange(SEQ)[None] % trial.sizes.vocab_size, trial.last(part)
    told = "no end" if part.longest is None else f"longest is {part.longest}"
    try:
        other, one = model(ids[:, SWAP], position_ids=last), model(ids, position_ids=last)
    except Exception as error:
        sentence = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return truth(False, f"{told}, but ids up to {last.max()} give {sentence}")
    if not one.isfinite().all():
        return truth(False, f"{told}, but what comes of ids up to {last.max()} is not finite")
    if not change(other, one[:, SWAP]).held:
        return truth(False, f"{told}, but ids {last.min()} to {last.max()} are as one")
    for step in _steps(trial.sizes.max_seq_len):
        near = torch.arange(SEQ)[None]
        apart = near.where(near < LATER, near - LATER + step)
        if part.longest is not None and apart.max() >= part.longest:
            continue
        one, other = model(ids, position_ids=apart), model(ids[:, SWAP], position_ids=apart)
        if not change(other, one[:, SWAP]).held:
            return truth(False, f"{told}, but ids 0 and {step} are as one")
    return truth(True, f"{told}, and {last.max()} works")


def _steps(longest: int) -> list[int]:
    """Distances after which a part might begin anew."""
    powers = [2**n for n in range(3, 14)] + [10**n for n in range(1, 5)]
    return powers + [longest * 2**n for n in range(4)]
