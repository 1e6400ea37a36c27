"""How it trains: gradients, dtypes, dropout, state, and what a compiler makes of it."""

from __future__ import annotations

import torch
from torch import Tensor

from lightformer.backbone import Backbone
from lightformer.masks import AttentionMask
from lightformer.testing import modules
from lightformer.testing.attention.trial import LATER, SEQ, AttentionTrial
from lightformer.testing.devices import ELSEWHERE, follows
from lightformer.testing.options import all_act
from lightformer.testing.promise import (
    DoesNotApply,
    Figure,
    promise,
    truth,
    worst,
)


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
    context = trial.context(5, AttentionMask(is_causal=True))
    return modules.gradients(trial.part(), trial.states(2, 5), context)


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


@promise("attention", needs=("steady", "state"))
def dropout(trial: AttentionTrial) -> Figure:
    """Dropout acts in train() alone, as much as told.

    Breach: self.training is not asked, or the option or its value is not used.
    """
    if "dropout" not in trial.spec.options():
        raise DoesNotApply("it has no option dropout")
    plain, ids = trial.model("none"), trial.tokens()

    def dropping(dropout: float) -> Backbone:
        spec = trial.spec.replace(dropout=dropout)
        model = trial.model("none", attention=spec)
        model.load_state_dict(plain.state_dict())
        return model

    much, nearly_none = dropping(0.4), dropping(modules.NEARLY_NONE)
    return modules.dropout(much, lambda model: model(ids), plain(ids), nearly_none=nearly_none)


@promise("attention", needs=("steady",))
def compiles(trial: AttentionTrial) -> Figure:
    """torch.compile takes it whole, without a graph break.

    Breach: Python that branches on the values of a tensor breaks the graph.
    """
    ids, is_token = trial.tokens(), torch.ones(2, SEQ, dtype=torch.bool)
    is_token[1, 5:] = False
    model = trial.model(trial.positions()[-1], num_layers=1)
    return modules.compiles(model, lambda model: model(ids, attention_mask=is_token))


@promise("attention", needs=("compiles", "cached", "memory"))
def device(trial: AttentionTrial) -> Figure:
    """It works on a GPU: its tensors are made where the hidden states are.

    Breach: torch.arange, torch.ones or torch.tensor without device=hidden_states.device, or a table that is no buffer.
    """
    ids, other = trial.tokens().to(ELSEWHERE), trial.states().to(ELSEWHERE)
    model = trial.model(trial.positions()[-1], has_memory=True, num_layers=1).to(ELSEWHERE)
    read = {"memory": other, "memory_document_ids": ids}

    def run() -> dict[str, Tensor]:
        found = {
            "what comes of padded rows": model(ids, attention_mask=ids >= 0, memory=other),
            "what comes of packed rows": model(ids, document_ids=ids, **read),
        }
        if (cache := model.new_cache()) is not None:
            model(ids[:, :LATER], memory=other, cache=cache)
            found["what comes of a cache"] = model(ids[:, LATER:], memory=other, cache=cache)
        return found

    return follows(run)


@promise("attention", needs=("steady", "dropout"))
def options(trial: AttentionTrial) -> Figure:
    """Each option does something.

    Breach: an option is read and not used, or another stands in its place. Where it acts only together with another
    one, leave this promise out with --skip options, or try it with that one, by --options.
    """
    dims, states = trial.sizes.dimensions(), trial.states()
    context = trial.context(SEQ, AttentionMask(is_causal=True))
    return all_act(trial.spec, lambda spec: spec(dims), lambda part: part(states, context))
