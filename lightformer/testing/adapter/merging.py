"""What is there when an adapter has been merged."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from lightformer.backbone import Backbone
from lightformer.testing.adapter.trial import AdapterTrial, exactly, own
from lightformer.testing.promise import Figure, difference, promise, truth, worst


@promise("adapter", needs=("dtype", "start", "steady", "state"))
@torch.no_grad()
def merged(trial: AdapterTrial) -> Figure:
    """Merged, the backbone computes what it did unmerged, in float64 and in float32.

    Breach: a factor is left out of `merge`, or a matrix is transposed; or what is added in the forward pass stays
    there, and counts twice.
    """
    ids = trial.ids()
    return worst(
        {
            str(kind).removeprefix("torch."): _gap(trial, trial.trained().to(kind), ids, bound)
            for kind, bound in ((torch.float64, 1e-12), (torch.float32, 1e-5))
        }
    )


def _gap(trial: AdapterTrial, model: Backbone, ids: Tensor, bound: float) -> Figure:
    before = model(ids)
    trial.adapter().merge(model)
    return difference(model(ids), before, bound)


@promise("adapter", needs=("start",))
@torch.no_grad()
def names(trial: AdapterTrial) -> Figure:
    """Merged, the backbone has the parameters of one that never had an adapter: names, shapes, dtypes.

    Breach: a parameter, buffer or module of it is left behind; delete what `attach` added.
    """
    for kind in (torch.bfloat16, torch.float64):
        model = trial.trained().to(kind)
        trial.adapter().merge(model)
        found, plain = model.state_dict(), trial.backbone().state_dict()
        if wrong := sorted(set(found) ^ set(plain)):
            return truth(False, f"left behind or gone: {', '.join(wrong)}")
        for name, value in found.items():
            if value.shape != plain[name].shape or value.dtype != kind:
                return truth(False, f"{name} is {value.dtype}, {tuple(value.shape)}")
    return truth(True, f"{len(plain)} tensors")


@promise("adapter", needs=("merged", "names"))
@torch.no_grad()
def again(trial: AdapterTrial) -> Figure:
    """A merged backbone can be adapted anew, as if for the first time.

    Breach: a hook of the first time is still there, or an instance remembers that it was attached.
    """
    adapter, model, expected = trial.adapter(), trial.backbone(), trial.trained()
    adapter.attach(model)
    adapter.merge(model)
    adapter.attach(model)
    model.load_state_dict(expected.state_dict())
    return exactly(model(trial.ids()), expected(trial.ids()))


@promise("adapter", needs=("merged",))
@torch.no_grad()
def copies(trial: AdapterTrial) -> Figure:
    """A copy of an adapted backbone is on its own, and the first one stays as it is.

    Breach: a hook or closure holds the module that it was made for, and not the one that it is called with.
    """
    model, expected, ids = trial.trained(), trial.adapted(), trial.ids()
    before, other = model(ids), copy.deepcopy(model)
    for parameter in own(other).values():
        parameter.mul_(0.5)
    expected.load_state_dict(other.state_dict())
    figures = {"the copy": exactly(other(ids), expected(ids))}
    trial.adapter().merge(other)
    figures["the copy, merged"] = difference(other(ids), expected(ids))
    figures["the first"] = exactly(model(ids), before)
    return worst(figures)


@promise("adapter", needs=("merged",))
@torch.no_grad()
def shared(trial: AdapterTrial) -> Figure:
    """Where layers share one block, what is added to it is added once.

    Breach: `attach` goes over backbone.layers(), where a shared block stands once for each layer; go over
    named_modules(), which has each once.
    """
    alone = _gap(trial, trial.trained(num_layer_groups=1), trial.ids(), 1e-12)
    one, two = (_count(trial.adapted(num_layer_groups=n)) for n in (1, 2))
    return alone if one < two else truth(False, f"{one} parameters for 1 block, {two} for 2")


def _count(model: Backbone) -> int:
    return sum(p.requires_grad for p in model.parameters())
