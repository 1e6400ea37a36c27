"""Its weights, which can be looked at."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lightformer.backbone import Backbone
from lightformer.masks import AttentionMask
from lightformer.testing.attention.trial import SEQ, AttentionTrial
from lightformer.testing.promise import Figure, change, difference, promise, truth, worst

KEYS = 9


@promise("attention", needs=("steady", "causal"))
def weights(trial: AttentionTrial) -> Figure:
    """Its weights can be had on request, which changes nothing.

    Breach: append (batch, heads, query, key) to context.weights where it is a list.
    """

    def measure(model: Backbone) -> Figure:
        ids, found = trial.tokens(), list[Tensor]()
        asked = difference(model(ids, weights=found), model(ids))
        shapes = [(w.shape[0], *w.shape[2:]) for w in found if w.ndim == 4]
        right = shapes == [(2, SEQ, SEQ)] * trial.sizes.num_layers
        if not right:
            return truth(False, f"shapes {[tuple(w.shape) for w in found]}")
        hidden = max(w.triu(1).abs().max().item() for w in found)
        return worst({"asked": asked, "later keys": Figure(hidden / 1e-12, f"weight {hidden:.1e}")})

    return trial.each(measure)


@promise("attention", needs=("weights", "padding", "sees"))
@torch.no_grad()
def true_weights(trial: AttentionTrial) -> Figure:
    """The weights that it shows are those by which it gathers.

    Breach: what is appended to context.weights was made otherwise than what values are multiplied with: without the
    mask, the bias, or the softmax. Where there is a map for each head, what comes out has to be a linear map of them.
    """
    part = trial.part()
    position = trial.positions()[-1]
    subsets = (torch.arange(1, 2**KEYS)[:, None] >> torch.arange(KEYS)) % 2 == 1

    context = trial.context(KEYS, AttentionMask(is_token=subsets), position=position)

    def tried(states: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and output of one query, over every subset of the keys."""
        shown = list[Tensor]()
        asked = replace(context, weights=shown)
        out = part(states.expand(len(subsets), -1, -1), asked)
        return shown[0][:, :, KEYS // 2], out[:, KEYS // 2]

    shown, out = tried(trial.states(1, KEYS))
    figures = {"by another content": change(tried(trial.states(1, KEYS))[0], shown)}
    if shown.shape[1] == trial.sizes.num_heads:
        known = torch.cat((shown.flatten(1), torch.ones_like(out[:, :1])), dim=1)  # and a bias
        values = torch.linalg.lstsq(known, out, driver="gelsd").solution
        figures["over subsets of the keys"] = difference(known @ values, out, 1e-6)
    return worst(figures)
