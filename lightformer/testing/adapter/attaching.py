"""What is there when an adapter has been attached, and no step made."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from lightformer.errors import ConfigError
from lightformer.testing import modules
from lightformer.testing.adapter.trial import AdapterTrial, exactly, own, same_bits, values
from lightformer.testing.devices import ELSEWHERE, follows
from lightformer.testing.promise import DoesNotApply, Figure, promise, truth, worst

DTYPES = (torch.bfloat16, torch.float32, torch.float64)


@promise("adapter")
def runs(trial: AdapterTrial) -> Figure:
    """A backbone has more parameters with it, and hidden states of the same shape.

    Breach: `attach` must make each parameter an nn.Parameter of a module that the backbone holds.
    """
    before, model = trial.backbone(), trial.adapted()
    shape = model(trial.ids()).shape
    if shape != (expected := before(trial.ids()).shape):
        return truth(False, f"{tuple(shape)}, not {tuple(expected)}")
    count, size = len(own(model)), sum(p.numel() for p in own(model).values())
    return truth(count > 0, f"{count} of them, {size} numbers")


@promise("adapter", needs=("runs",))
def rest(trial: AdapterTrial) -> Figure:
    """What the backbone has keeps its name and its values.

    Breach: a weight is replaced, or put into a module that wraps the old one; or `attach` calls backbone.apply().
    """
    return same_bits(values(trial.adapted()), values(trial.backbone()))


@promise("adapter", needs=("rest",))
@torch.no_grad()
def start(trial: AdapterTrial) -> Figure:
    """At its start the backbone computes what it did, to the bit, in train() too.

    Breach: what is added starts at random; let one factor of it be zero.
    """
    before, model, ids = trial.backbone(), trial.adapted(), trial.ids()
    return worst(
        {
            "eval()": exactly(model.eval()(ids), before(ids)),
            "train()": exactly(model.train()(ids), before(ids)),
        }
    )


@promise("adapter", needs=("runs",))
def targets(trial: AdapterTrial) -> Figure:
    """It changes the maps that `targets` names, and no other; a pattern that matches none is refused.

    Breach: the patterns are not looked at, or are compared with names without `backbone.`; see
    lightformer.linear_adapter.
    """
    if "targets" not in trial.spec.options():
        raise DoesNotApply("it has no option targets")
    chosen = "backbone.blocks.1.attention.output"
    one = trial.spec.replace(targets=(chosen,))
    found = own(dataclasses.replace(trial, spec=one).adapted())
    outside = [name for name in found if not f"backbone.{name}".startswith(f"{chosen}.")]
    if outside or not found:
        return truth(False, f"for {chosen}: {', '.join(outside) or 'nothing'}")
    none = trial.spec.replace(targets=("*.no_such_map",))
    try:
        dataclasses.replace(trial, spec=none).adapted()
    except ConfigError:
        return truth(True, f"{len(found)} parameters")
    return truth(False, "a pattern that matches nothing passes")


@promise("adapter", needs=("runs",))
def dtype(trial: AdapterTrial) -> Figure:
    """Its parameters, and what comes out, have the dtype of the backbone.

    Breach: torch.zeros without dtype=weight.dtype; use weight.new_zeros.
    """
    for kind in DTYPES:
        model = trial.backbone().to(kind)
        trial.adapter().attach(model)
        wrong = [n for n, p in model.named_parameters() if p.dtype != kind]
        if wrong:
            return truth(False, f"{wrong[0]} is not {kind}")
        if (found := model(trial.ids()).dtype) != kind:
            return truth(False, f"{found} from {kind}")
    return truth(True, f"{len(DTYPES)} dtypes")


@promise("adapter", needs=("runs",))
def device(trial: AdapterTrial) -> Figure:
    """It works on a GPU: its parameters are made where the weights are.

    Breach: torch.zeros without device=weight.device; use weight.new_zeros.
    """
    model, ids = trial.backbone().to(ELSEWHERE), trial.ids().to(ELSEWHERE)
    trial.adapter().attach(model)
    return follows(lambda: {**dict(model.named_parameters()), "hidden states": model(ids)})


@promise("adapter", needs=("runs",))
@torch.no_grad()
def steady(trial: AdapterTrial) -> Figure:
    """The same input gives the same output, in train() too, once its dropout is 0.

    Breach: something is random that is no dropout, or remembered from call to call; or train() is treated apart.
    """
    model, ids = trial.trained(), trial.ids()
    return modules.steady(model, lambda m: m(ids), lambda m: m(ids.flip(1)))


@promise("adapter", needs=("steady",))
@torch.no_grad()
def compiles(trial: AdapterTrial) -> Figure:
    """torch.compile takes the backbone with it, without a graph break.

    Breach: Python that looks at the values of a tensor breaks the graph, such as `if self.up.any()`.
    """
    model, ids = trial.trained(), trial.ids()
    return modules.compiles(model, lambda found: _states(found, ids))


def _states(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    found = model(ids)
    assert isinstance(found, torch.Tensor)
    return found
