"""What carries over: the same steps again, a closure, a state that was saved."""

from __future__ import annotations

import io
import pickle
import re
from typing import Any

import torch
from torch import Tensor

from lightformer.testing.optimizer.trial import DTYPES, OptimizerTrial, Run, named, same_bits
from lightformer.testing.promise import Figure, difference, promise, truth, worst


@promise("optimizer", needs=("moves",))
def steady(trial: OptimizerTrial) -> Figure:
    """The same steps end with the same bits, in every instance.

    Breach: something is random, or instances share what they remember, as by a dict on the class.
    """
    gradients, others = trial.gradients(3), trial.gradients(2)
    first = trial.begin()
    first.step(*gradients)
    trial.begin().step(*others)
    again = trial.begin()
    again.step(*gradients)
    return same_bits(again.values(), first.values())


@promise("optimizer", needs=("steady", "finite"))
def closure(trial: OptimizerTrial) -> Figure:
    """step(closure) steps by the gradients that the closure makes.

    Breach: Lightning trains by way of step(closure). Call it first, under torch.enable_grad(), read gradients
    after it, and return the loss that it returns.
    """
    ids = trial.sizes.tokens(2, 7)

    def loss_of(run: Run) -> Tensor:
        run.optimizer.zero_grad()
        loss = run.module(ids).square().mean()
        torch.autograd.backward(loss)
        return loss.detach()

    by_hand, by_closure = trial.begin(), trial.begin()
    step: Any = by_closure.optimizer.step
    figures = {}
    for name in ("first step", "second step"):
        expected = loss_of(by_hand)
        by_hand.optimizer.step()
        found = step(lambda: loss_of(by_closure))
        if not isinstance(found, Tensor):
            return truth(False, f"returns {found}, not the loss")
        figures[f"the loss, {name}"] = difference(found.detach(), expected)
        values = by_closure.values()
        figures[name] = worst({n: difference(values[n], v) for n, v in by_hand.values().items()})
    return worst(figures)


@promise("optimizer", needs=("steady", "dtype"))
def state(trial: OptimizerTrial) -> Figure:
    """Saved and loaded, it goes on with the same bits.

    Breach: what it remembers stands outside self.state[parameter] and the groups, so that no state_dict has it; or it
    is no tensor, number or text, so that torch.load(weights_only=True) refuses it. In bfloat16: torch casts what it
    loads to the dtype of the parameter (all but "step"), so that an average in float32 loses its digits.
    """
    gradients = trial.gradients(18)
    before, after = gradients[:5], gradients[5:]  # long enough for what happens every few steps
    figures = {}
    for kind in DTYPES:
        run, other = trial.begin(kind), trial.begin(kind)
        run.scale(0.5)
        run.step(*before)
        file = io.BytesIO()
        torch.save([run.module.state_dict(), run.optimizer.state_dict()], file)
        file.seek(0)
        try:
            weights, saved = torch.load(file, weights_only=True)
        except pickle.UnpicklingError as error:
            sort = re.search(r"GLOBAL (\S+)", str(error))
            return truth(False, f"cannot be loaded{f': a {sort[1]}' if sort else ''}")
        other.module.load_state_dict(weights)
        other.optimizer.load_state_dict(saved)
        for each in (run, other):
            each.step(*after)
        figures[named(kind)] = same_bits(other.values(), run.values())
    return worst(figures)
