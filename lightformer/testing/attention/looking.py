"""Who is seen: later tokens, neighbours, other rows, padding, other documents."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lightformer.backbone import Backbone
from lightformer.masks import AttentionMask
from lightformer.testing import modules
from lightformer.testing.attention.trial import LATER, SEQ, AttentionTrial
from lightformer.testing.promise import (
    Figure,
    change,
    difference,
    promise,
    truth,
    worst,
)
from lightformer.testing.sizes import around


@promise("attention")
def runs(trial: AttentionTrial) -> Figure:
    """Hidden states of the same shape come out, at any length.

    Breach: forward must take (batch, query, hidden) and return (batch, query, hidden).
    """

    def measure(model: Backbone) -> Figure:
        lengths = (1, 2, SEQ, trial.sizes.max_seq_len)
        shapes = [tuple(model(trial.tokens(3, n)).shape) for n in lengths]
        right = [(3, n, trial.sizes.hidden_size) for n in lengths]
        return truth(shapes == right, f"shapes {shapes}")

    figure = trial.both_ways(measure)
    return truth(figure.held, f"{len(trial.positions())} sorts of position")


@promise("attention", needs=("runs",))
def intact(trial: AttentionTrial) -> Figure:
    """What it is given stays as it was.

    Breach: it works in place (+=, .mul_()), and so spoils what other parts read.
    """
    part, states, other = trial.part(), trial.states(), trial.states()
    own = trial.context(SEQ, AttentionMask(is_causal=True))
    figures = {"hidden states": modules.intact(lambda given: part(given, own), states)}
    theirs = replace(own, mask=AttentionMask())
    read = modules.intact(lambda given: part(states, replace(theirs, memory=given)), other)
    return worst({**figures, "another sequence": read})


@promise("attention", needs=("intact",))
def steady(trial: AttentionTrial) -> Figure:
    """The same input gives the same output, also in train().

    Breach: something random or remembered acts where there is no dropout and no cache; or self.training is asked
    where it should not be.
    """

    def measure(model: Backbone) -> Figure:
        ids, other = trial.tokens(), trial.tokens(3, 5)
        return modules.steady(model, lambda model: model(ids), lambda model: model(other))

    return trial.both_ways(measure)


@promise("attention", needs=("steady",))
def causal(trial: AttentionTrial) -> Figure:
    """In a causal model what comes later changes nothing.

    Breach: the scores of later keys are not hidden. Hand context.mask to the kernel, or hide before the softmax
    (and after anything that mixes heads).
    """

    def measure(model: Backbone) -> Figure:
        ids = trial.tokens()
        other = ids.clone()
        other[:, LATER:] = trial.others(other[:, LATER:])
        return difference(model.train()(other)[:, :LATER], model(ids)[:, :LATER])

    return trial.each(measure)


@promise("attention", needs=("steady",))
def sees(trial: AttentionTrial) -> Figure:
    """A neighbour that it may look at changes what comes out.

    Breach: values do not reach the output, or the mask hides what it allows.
    """

    def measure(model: Backbone) -> Figure:
        ids = trial.tokens()
        other = ids.clone()
        other[:, LATER] = trial.others(other[:, LATER])
        one, two = model(ids), model(other)
        return worst({str(n): change(one[:, n], two[:, n]) for n in (LATER - 1, LATER + 1)})

    return trial.each(measure, is_causal=False)


@promise("attention", needs=("steady",))
def batch(trial: AttentionTrial) -> Figure:
    """A batch gives what its rows give alone.

    Breach: something is summed, shared or reshaped across the rows of a batch.
    """

    def measure(model: Backbone) -> Figure:
        ids = trial.tokens(3)
        together = model(ids)
        alone = [model(ids[row : row + 1])[0] for row in range(3)]
        return difference(together, torch.stack(alone))

    return trial.both_ways(measure)


@promise("attention", needs=("steady", "batch"))
def padding(trial: AttentionTrial) -> Figure:
    """Padding changes nothing: left, right, beside longer rows.

    Breach: keys that are padding get weight. context.mask tells which they are.
    """

    def measure(model: Backbone) -> Figure:
        ids = trial.tokens()
        expected, figures = model(ids), {}
        for name, left, right in (("right", 0, 3), ("left", 4, 0)):
            wide, is_token = around(ids, left, right, trial.sizes.vocab_size)
            found = model(wide, attention_mask=is_token)[:, left : left + SEQ]
            figures[name] = difference(found, expected)
        beside, is_token = torch.cat((ids, trial.tokens(1))), torch.ones(3, SEQ, dtype=torch.bool)
        is_token[0, LATER:] = False
        found = model(beside, attention_mask=is_token)[0, :LATER]
        figures["beside longer rows"] = difference(found, model(ids[:1, :LATER])[0])
        return worst(figures)

    return trial.both_ways(measure)


@promise("attention", needs=("steady", "batch"))
def packed(trial: AttentionTrial) -> Figure:
    """Documents packed in one row give what they give apart.

    Breach: attention crosses the border of a document, or the position ids that restart are not the ones used.
    """

    def measure(model: Backbone) -> Figure:
        ids = trial.tokens(2, 11)
        documents = torch.tensor([[0] * 4 + [1] * 5 + [2] * 2, [3] + [5] * 10])
        together = model(ids, document_ids=documents)
        pieces = ((0, 0, 4), (0, 4, 9), (0, 9, 11), (1, 0, 1), (1, 1, 11))
        return worst(
            {
                f"tokens {start} to {stop}": difference(
                    together[row, start:stop], model(ids[row : row + 1, start:stop])[0]
                )
                for row, start, stop in pieces
            }
        )

    return trial.both_ways(measure)


@promise("attention", needs=("causal", "batch"))
def prefix(trial: AttentionTrial) -> Figure:
    """A prefix is seen by all of its row; what follows is hidden.

    Breach: the causal rule is applied without a look at the mask's prefix_lengths.
    """
    lengths = torch.tensor([3, 1])

    def measure(model: Backbone) -> Figure:
        ids = trial.tokens()
        after, inside = ids.clone(), ids.clone()
        after[:, 3:], inside[:, 2] = trial.others(ids[:, 3:]), trial.others(ids[:, 2])
        plain, seen = model(ids), model(ids, prefix_lengths=lengths)
        figures = {
            "a prefix of 1": difference(seen[1], plain[1]),
            "what follows": difference(model(after, prefix_lengths=lengths)[0, :3], seen[0, :3]),
        }
        if (model(inside)[:, 4] - plain[:, 4]).abs().max() > 0:  # it looks as far as two tokens
            other = model(inside, prefix_lengths=lengths)
            figures["what is inside"] = change(other[0, 0], seen[0, 0])
        return worst(figures)

    return trial.each(measure)


@promise("attention", needs=("steady", "batch"))
def rule(trial: AttentionTrial) -> Figure:
    """Any further rule on who looks at whom is kept.

    Breach: only the causal rule and padding are applied. Ask context.mask.dense() for all of it.
    """

    def measure(model: Backbone) -> Figure:
        ids = trial.tokens()
        other = ids.clone()
        other[:, 1::2] = trial.others(other[:, 1::2])

        def parity(query: Tensor, key: Tensor) -> Tensor:
            return query % 2 == key % 2

        return difference(model(other, rule=parity)[:, ::2], model(ids, rule=parity)[:, ::2])

    return trial.both_ways(measure)


@promise("attention", needs=("steady", "sees"))
def order(trial: AttentionTrial) -> Figure:
    """Order matters with a position, and does not without.

    Breach: the position's rotation or bias is not used; or the attention has an order of its own, which is no
    mistake if it is meant (leave this promise out with --skip order).
    """
    swap = torch.tensor([4, 1, 2, 3, 0, 5, 6])
    ids = torch.arange(SEQ)[None] % trial.sizes.vocab_size
    figures = {}
    for name in trial.positions():
        model = trial.model(name, is_causal=False)
        if name != "none":
            figures[name] = change(model(ids[:, swap]), model(ids)[:, swap])
        elif _sees_all(trial):
            figures["without"] = difference(model(ids[:, swap]), model(ids)[:, swap])
    return worst(figures)


def _sees_all(trial: AttentionTrial) -> bool:
    """Whether every token sees every other in one layer."""
    model = trial.model("none", is_causal=False, num_layers=1)
    ids = trial.tokens()
    other = ids.clone()
    other[:, 0] = trial.others(other[:, 0])
    return bool((model(ids) - model(other)).abs().amax(dim=(0, 2)).all())
