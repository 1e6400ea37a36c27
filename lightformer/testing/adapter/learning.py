"""What moves when an adapter learns, and what carries over."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lightformer.testing.adapter.trial import (
    AdapterTrial,
    Values,
    exactly,
    own,
    same_bits,
    values,
)
from lightformer.testing.modules import STEP
from lightformer.testing.promise import Figure, difference, promise, truth, worst


@promise("adapter", needs=("start",))
def stays(trial: AdapterTrial) -> Figure:
    """While it learns, the backbone's own parameters keep their bits.

    Breach: the forward pass writes into a weight, as by weight.data.add_(); only `merge` may.
    """
    model = trial.adapted()
    before = {n: v for n, v in values(model).items() if n not in own(model)}
    _train(model, trial.ids())
    return same_bits(values(model), before)


@promise("adapter", needs=("start",))
def learns(trial: AdapterTrial) -> Figure:
    """After three steps every parameter of it has moved.

    Breach: two factors in a row start at zero, so that none gets a gradient, for ever; or one is used under no_grad.
    """
    model = trial.adapted()
    before = values(model)
    _train(model, trial.ids())
    still = [name for name, p in own(model).items() if p.equal(before[name])]
    return truth(not still, f"still: {', '.join(still)}" if still else f"{len(own(model))}")


def _train(model: nn.Module, ids: Tensor) -> None:
    optimizer = torch.optim.Adam(own(model).values(), lr=0.01)
    pull = torch.randn_like(model(ids).detach())
    for _ in range(3):
        optimizer.zero_grad()
        torch.autograd.backward((model.train()(ids) * pull).sum())
        optimizer.step()


@promise("adapter", needs=("dtype", "learns", "steady"))
def gradients(trial: AdapterTrial) -> Figure:
    """The gradient is the slope of what comes out.

    Breach: what is added is computed from a detached input, so that lower layers do not hear of it.
    """
    model, ids = trial.trained(), trial.ids()
    given = dict(own(model))
    pull = torch.randn_like(model(ids).detach())

    def value(changed: Values) -> Tensor:
        found = functional_call(model, {**given, **changed}, (ids,))
        return (found * pull).sum()

    slopes = torch.autograd.grad(value({}), list(given.values()), materialize_grads=True)
    figures = {}
    with torch.no_grad():
        for (name, tensor), slope in zip(given.items(), slopes, strict=True):
            way = torch.randn_like(tensor)
            rise = value({name: tensor + way * STEP}) - value({name: tensor - way * STEP})
            figures[name] = difference(rise / (2.0 * STEP), (slope * way).sum(), 1e-5)
    return worst(figures)


@promise("adapter", needs=("steady",))
@torch.no_grad()
def state(trial: AdapterTrial) -> Figure:
    """A backbone that takes over the state of another computes what that one does, to the bit.

    Breach: a tensor that it learns, or draws at its start, is neither parameter nor buffer, so that no state_dict has
    it.
    """
    one, ids = trial.trained(), trial.ids()
    other = trial.backbone()
    torch.manual_seed(17)  # another start
    trial.adapter().attach(other)
    other.load_state_dict(one.state_dict())
    return exactly(other(ids), one(ids))
