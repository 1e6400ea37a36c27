"""How it trains: gradients, dtypes, dropout, state, and what a compiler makes of it."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from lightformer.attention import AttentionContext
from lightformer.backbone import Backbone
from lightformer.masks import AttentionMask
from lightformer.testing import modules
from lightformer.testing.attention.trial import SEQ, AttentionTrial
from lightformer.testing.promise import (
    DoesNotApply,
    Figure,
    change,
    difference,
    promise,
    truth,
    worst,
)
from lightformer.testing.sizes import stir


@promise("attention", needs=("sees", "order"))
def learns(trial: AttentionTrial) -> Figure:
    """Every parameter has a gradient.

    Breach: a parameter is detached, unused, or hidden behind something that is constant.
    """
    silent: set[str] | None = None
    for name in trial.positions():  # a key's bias alone has no effect where no position turns it
        model = trial.model(name).train()
        model(trial.tokens()).square().sum().backward()
        parameters = dict(model.layers()[0].attention.named_parameters())
        found = {n for n, p in parameters.items() if p.grad is None or not p.grad.any()}
        silent = found if silent is None else silent & found
    lacking = sorted(silent or ())
    allowed = lacking == ["key.bias"] and "rope" not in trial.positions()
    text = f"without one: {', '.join(lacking)}" if lacking else f"{len(parameters)} parameters"
    return truth(not lacking or allowed, text)


@promise("attention", needs=("steady", "learns"))
def gradients(trial: AttentionTrial) -> Figure:
    """Gradients agree with finite differences.

    Breach: something is detached, or a backward of one's own is wrong.
    """
    part = stir(trial.spec(trial.sizes.dimensions()).double())
    context = AttentionContext(
        mask=AttentionMask(is_causal=True),
        position=trial.model("none").position,
        query_positions=torch.arange(5)[None],
        key_positions=torch.arange(5)[None],
    )
    states = torch.randn(2, 5, trial.sizes.hidden_size, dtype=torch.float64)
    return modules.gradients(part, states, context)


@promise("attention", needs=("runs",))
def dtype(trial: AttentionTrial) -> Figure:
    """The dtype is kept, and autocast to bfloat16 works.

    Breach: a tensor is made without a dtype, or a buffer is not cast; .to(states.dtype) mends it.
    """

    def measure(model: Backbone) -> Figure:
        ids, is_token = trial.tokens(), torch.ones(2, SEQ, dtype=torch.bool)
        is_token[1, 5:] = False
        for kind in (torch.bfloat16, torch.float32, torch.float64):
            for mask in (None, is_token):
                found = model.to(kind)(ids, attention_mask=mask).dtype
                if found != kind:
                    return truth(False, f"{found} from {kind}")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model.float()(ids, attention_mask=is_token)
        return truth(bool(mixed.isfinite().all()), "4 dtypes")

    return trial.each(measure)


@promise("attention", needs=("padding",))
def finite(trial: AttentionTrial) -> Figure:
    """A row that is all padding gives finite numbers and gradients.

    Breach: the softmax of a row that may look at nothing is NaN; put zeros there.
    """

    def measure(model: Backbone) -> Figure:
        ids, is_token = trial.tokens(), torch.ones(2, SEQ, dtype=torch.bool)
        is_token[1] = False
        out = model.train()(ids, attention_mask=is_token)
        out.square().sum().backward()
        wrong = [
            n
            for n, p in model.named_parameters()
            if p.grad is not None and not p.grad.isfinite().all()
        ]
        wrong += [] if out.isfinite().all() else ["what comes out"]
        return truth(not wrong, f"not finite: {', '.join(wrong)}" if wrong else "all finite")

    return trial.both_ways(measure)


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


@promise("attention", needs=("steady",))
def dropout(trial: AttentionTrial) -> Figure:
    """Dropout acts in train() alone.

    Breach: self.training is not asked, or the option is not used.
    """
    if "dropout" not in trial.spec.options():
        raise DoesNotApply("it has no option dropout")
    spec = dataclasses.replace(trial.spec, dropout=0.4)  # type: ignore[type-var]
    model, ids = trial.model("none", attention=spec), trial.tokens()
    return worst(
        {
            "eval()": difference(model.eval()(ids), model(ids)),
            "train()": change(model.train()(ids), model(ids)),
        }
    )


@promise("attention", needs=("steady",))
def state(trial: AttentionTrial) -> Figure:
    """Its state_dict holds all that it has learned.

    Breach: a tensor that matters is no parameter and no buffer.
    """

    ids = trial.tokens()
    return worst(
        {
            name: modules.state(trial.model(name), trial.model(name), lambda model: model(ids))
            for name in trial.positions()
        }
    )


@promise("attention", needs=("steady",))
def compiles(trial: AttentionTrial) -> Figure:
    """torch.compile takes it whole, without a graph break.

    Breach: Python that branches on the values of a tensor breaks the graph.
    """
    ids, is_token = trial.tokens(), torch.ones(2, SEQ, dtype=torch.bool)
    is_token[1, 5:] = False
    model = trial.model(trial.positions()[-1])
    return modules.compiles(model, lambda model: model(ids, attention_mask=is_token))
