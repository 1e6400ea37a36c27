"""What a block hands on to its parts: hidden states, masks, positions, caches, another sequence."""

from __future__ import annotations

import torch
from torch import Tensor

from lightformer.testing import modules
from lightformer.testing.attention.remembering import in_pieces
from lightformer.testing.block.trial import LATER, MEMORY, ROLES, SEQ, BlockTrial, Reader
from lightformer.testing.promise import Figure, change, difference, promise, truth, worst
from lightformer.testing.sizes import around


@promise("block")
def runs(trial: BlockTrial) -> Figure:
    """As encoder and as decoder the same shape comes out.

    Breach: forward must take (hidden_states, context, cross_context=None) and return hidden states alone; __init__
    must hand the BlockParts to super().__init__(); cross_attention is None in the first two.
    """

    def measure(model: Reader) -> Figure:
        for n in (1, SEQ, trial.sizes.max_seq_len):
            shape = tuple(model(trial.tokens(3, n)).shape)
            if shape != (3, n, trial.sizes.hidden_size):
                return truth(False, f"{shape} from {n} tokens")
        return truth(True, f"{len(trial.roles)} roles, 3 lengths")

    return trial.each(measure)


@promise("block", needs=("runs",))
def intact(trial: BlockTrial) -> Figure:
    """The hidden states that it is given stay as they were.

    Breach: it adds in place (+=), and so changes what a norm has kept for its gradient. Write x = x + ...
    """
    block, contexts = trial.block(), trial.contexts(2, SEQ)
    return modules.intact(lambda states: block(states, *contexts), trial.states())


@promise("block", needs=("intact",))
def steady(trial: BlockTrial) -> Figure:
    """The same input gives the same output, also in train().

    Breach: something random, or something remembered, acts where there is no dropout and no cache.
    """

    def measure(model: Reader) -> Figure:
        ids, other = trial.tokens(), trial.tokens(3, 5)
        return modules.steady(model, lambda model: model(ids), lambda model: model(other))

    return trial.each(measure)


@promise("block", needs=("steady",))
def causal(trial: BlockTrial) -> Figure:
    """In a decoder what comes later changes nothing.

    Breach: the attention is given another mask than that of the context; or something moves between positions
    outside of it.
    """

    def measure(model: Reader) -> Figure:
        ids = trial.tokens()
        other = ids.clone()
        other[:, LATER:] = trial.others(other[:, LATER:])
        return difference(model.train()(other)[:, :LATER], model(ids)[:, :LATER])

    return trial.each(measure, ROLES[1:])


@promise("block", needs=("steady",))
def sees(trial: BlockTrial) -> Figure:
    """The attention is used: a neighbour changes what comes out.

    Breach: what the attention returns does not reach the output.
    """

    def measure(model: Reader) -> Figure:
        ids = trial.tokens()
        other = ids.clone()
        other[:, LATER] = trial.others(other[:, LATER])
        return change(model(other)[:, LATER + 1], model(ids)[:, LATER + 1])

    return trial.each(measure)


@promise("block", needs=("steady",))
def batch(trial: BlockTrial) -> Figure:
    """A batch gives what its rows give alone.

    Breach: something is summed, shared or reshaped across the rows of a batch.
    """

    def measure(model: Reader) -> Figure:
        ids = trial.tokens(3)
        alone = [model(ids[row : row + 1])[0] for row in range(3)]
        return difference(model(ids), torch.stack(alone))

    return trial.each(measure)


@promise("block", needs=("steady", "batch"))
def padding(trial: BlockTrial) -> Figure:
    """Padding changes nothing, on the left or on the right.

    Breach: the attention is given a mask without is_token; or something outside of it, such as a mean over
    positions, counts padding.
    """

    def measure(model: Reader) -> Figure:
        ids = trial.tokens()
        expected, figures = model(ids), {}
        for name, left, right in (("right", 0, 3), ("left", 4, 0)):
            wide, is_token = around(ids, left, right, trial.sizes.vocab_size)
            found = model(wide, attention_mask=is_token)[:, left : left + SEQ]
            figures[name] = difference(found, expected)
        return worst(figures)

    return trial.each(measure)


@promise("block", needs=("steady", "padding"))
def packed(trial: BlockTrial) -> Figure:
    """Documents packed in one row give what they give apart.

    Breach: the attention is given a mask without documents; or something outside of it crosses their border.
    """

    def measure(model: Reader) -> Figure:
        ids, documents = trial.tokens(1, 11), torch.tensor([[0] * 4 + [1] * 5 + [2] * 2])
        together, figures = model(ids, document_ids=documents), {}
        for start, stop in ((0, 4), (4, 9), (9, 11)):
            alone = model(ids[:, start:stop])
            figures[f"tokens {start} to {stop}"] = difference(together[:, start:stop], alone)
        return worst(figures)

    return trial.each(measure, ROLES[:2])


def _by_pieces(trial: BlockTrial, role: str) -> Figure:
    """What a cache gives against all at once, token by token and in pieces."""
    model, ids, figures = trial.model(role), trial.tokens(2, MEMORY), {}
    for name, sizes in {"by token": (4, *(1,) * 7), "in pieces": (5, 3, 3)}.items():
        found = torch.cat(
            list(in_pieces(model.backbone, ids, sizes, None, **model.given(2))), dim=1
        )
        figures[name] = difference(found, model(ids))
    return worst(figures)


@promise("block", needs=("causal", "padding"))
@torch.no_grad()
def cached(trial: BlockTrial) -> Figure:
    """A cache, by token or in pieces, gives what all at once gives.

    Breach: the attention is given other positions or another cache than the context's; or the block needs earlier
    hidden states, for which no cache has room.
    """
    return _by_pieces(trial, "decoder")


@promise("block", needs=("steady", "batch"))
def memory(trial: BlockTrial) -> Figure:
    """Another sequence is read, and its padding changes nothing.

    Breach: cross_attention is not called, or with `context` in place of `cross_context`.
    """
    ids, other = trial.tokens(), trial.states(2, MEMORY)
    is_token = torch.ones(2, MEMORY, dtype=torch.bool)
    is_token[:, 8:] = False
    model = trial.model(ROLES[2])
    plain = model(ids, memory=other[:, :8])
    return worst(
        {
            "other memory": change(model(ids, memory=other[:, :8] + 1.0), plain),
            "padding": difference(model(ids, memory=other, memory_mask=is_token), plain),
        }
    )


@promise("block", needs=("memory", "cached"))
@torch.no_grad()
def cached_memory(trial: BlockTrial) -> Figure:
    """Cached, the other sequence is read as without a cache.

    Breach: cross_attention is left out once something is cached, or is given the cache of the other attention.
    """
    return _by_pieces(trial, ROLES[2])


@promise("block", needs=("steady", "memory"))
def weights(trial: BlockTrial) -> Figure:
    """Attention weights can be had on request: a tensor a layer.

    Breach: the attention is given another context than the block's. Use dataclasses.replace to change one.
    """

    def measure(model: Reader) -> Figure:
        ids, found = trial.tokens(), list[Tensor]()
        asked = difference(model(ids, weights=found), model(ids))
        shapes = [tuple(w.shape) for w in found]
        expected = [(2, trial.sizes.num_heads, SEQ, SEQ)] * trial.sizes.num_layers
        return asked if shapes == expected else truth(False, f"{len(shapes)} tensors {shapes}")

    return trial.each(measure)
