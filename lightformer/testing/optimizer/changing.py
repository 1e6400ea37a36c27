"""What a step does to parameters and gradients, and what it leaves alone."""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor, nn

from lightformer.testing.optimizer.trial import (
    DTYPES,
    OptimizerTrial,
    moved,
    named,
    same_bits,
    some,
)
from lightformer.testing.promise import Figure, promise, truth, worst


@promise("optimizer")
def runs(trial: OptimizerTrial) -> Figure:
    """Steps can be taken, whatever the shapes of the parameters.

    Breach: the part must return a torch.optim.Optimizer of the named parameters that it is given. They may be matrices
    alone or vectors alone, single numbers, and tensors of more dimensions or of another layout. A step needs
    @torch.no_grad(), as it changes parameters in place.
    """
    shapes = {
        "a.weight": (5, 3),
        "a.bias": (5,),
        "blocks.0.weight": (3, 5),
        "blocks.1.weight": (1, 7),
        "scale": (),
        "kernel": (2, 3, 5),
    }
    everything = {n: nn.Parameter(torch.randn(shape)) for n, shape in shapes.items()}
    everything["turned"] = nn.Parameter(torch.randn(3, 7).T)
    cases = {
        "a module": everything,
        "matrices alone": {n: p for n, p in everything.items() if p.ndim == 2},
        "vectors alone": {n: p for n, p in everything.items() if p.ndim == 1},
        "one number": {"scale": everything["scale"]},
    }
    for name, parameters in cases.items():
        optimizer = trial.spec(list(parameters.items()))
        if not isinstance(optimizer, torch.optim.Optimizer):
            return truth(False, f"it is of type {type(optimizer).__name__}")
        for _ in range(2):
            for parameter in parameters.values():
                parameter.grad = torch.randn_like(parameter)
            optimizer.step()
        if not all(p.isfinite().all() for p in parameters.values()):
            return Figure(math.inf, "a parameter is not finite", name)
    return truth(True, f"{len(everything)} shapes")


@promise("optimizer", needs=("runs",))
def groups(trial: OptimizerTrial) -> Figure:
    """Every parameter is in exactly one group, which has a rate.

    Breach: a filter by name or shape leaves parameters out; decay_groups(parameters, weight_decay) divides them. A
    schedule changes group["lr"], so that "lr" must stand in the groups, or in the defaults of the optimizer.
    """
    run = trial.begin()
    made = run.optimizer.param_groups
    held = Counter(id(p) for group in made for p in group["params"])
    for name, parameter in run.parameters.items():
        if held[id(parameter)] != 1:
            return truth(False, f"{name} is in {held[id(parameter)]} groups")
    if any("lr" not in group for group in made):
        return truth(False, 'a group has no "lr"')
    return truth(True, f"{len(run.parameters)} parameters")


@promise("optimizer", needs=("groups",))
def moves(trial: OptimizerTrial) -> Figure:
    """Every parameter that has a gradient moves, from 0 too.

    Breach: the step treats matrices and leaves vectors out; or its size is a multiple of the size of the weights, so
    that a bias, which starts at 0, never learns.
    """
    figures = {}
    for name, factor in (("from 0", 0.0), ("from elsewhere", 1.0)):
        run = trial.begin(**trial.decays(0.0))
        with torch.no_grad():
            for parameter in run.parameters.values():
                parameter.mul_(factor)
        before = run.values()
        run.step(*trial.gradients(2))
        figures[name] = moved(run.values(), before)
    return worst(figures)


@promise("optimizer", needs=("moves",))
def stays(trial: OptimizerTrial) -> Figure:
    """A parameter without a gradient stays; others step as usual.

    Breach: pass over parameters whose .grad is None: they are not to decay, nor to coast on their momentum. All are
    without one where a step is left out, as a run does when a gradient is not finite.
    """
    run, figures = trial.begin(), {}
    one, two, three = trial.gradients(3)
    nothing = dict.fromkeys(one)
    for name, given in (
        ("the first step", some(one, 0)),
        ("the others", some(two, 1)),
        ("the first again", some(three, 0)),
        ("no gradient at all", nothing),
    ):
        before = run.values()
        run.step(given)
        after = run.values()
        idle = {n: value for n, value in before.items() if given[n] is None}
        busy = {n: value for n, value in before.items() if given[n] is not None}
        figures[name] = same_bits(after, idle)
        figures[f"{name} "] = moved(after, busy)
    return worst(figures)


@promise("optimizer", needs=("moves",))
def intact(trial: OptimizerTrial) -> Figure:
    """A step leaves the gradients as they were.

    Breach: decay is added to .grad in place, or .grad is scaled in place. What reads gradients after the step, such as
    a log of their norm, is then wrong.
    """
    run, gradients = trial.begin(), trial.gradients(2)
    figures = {}
    for name, given in zip(("first step", "second step"), gradients, strict=True):
        run.step(given)
        left = {n: p.grad for n, p in run.parameters.items() if p.grad is not None}
        figures[name] = (
            same_bits(left, given) if len(left) == len(given) else truth(False, "they are gone")
        )
    return worst(figures)


@promise("optimizer", needs=("groups",))
def dtype(trial: OptimizerTrial) -> Figure:
    """Parameters keep their dtype: bfloat16, float32, float64.

    Breach: parameter.data is replaced by what was computed in another dtype, or two dtypes meet in one operation.
    """
    gradients = trial.gradients(2)
    for kind in DTYPES:
        run = trial.begin(kind)
        run.step(*gradients)
        for name, parameter in run.parameters.items():
            if parameter.dtype != kind:
                return Figure(math.inf, f"{parameter.dtype} from {kind}", name)
    return truth(True, f"{len(DTYPES)} dtypes")


@promise("optimizer", needs=("dtype", "moves"))
def in_place(trial: OptimizerTrial) -> Figure:
    """Parameters are changed in place, in their own memory.

    Breach: parameter.data = ... gives it other memory; use parameter.add_() and its like. Tied weights, a compiled
    model and divided parameters go on with the old memory.
    """
    run = trial.begin()
    views = {n: p.detach() for n, p in run.parameters.items()}
    run.step(*trial.gradients(2))
    return same_bits(views, run.values())


@promise("optimizer", needs=("dtype", "moves"))
def finite(trial: OptimizerTrial) -> Figure:
    """Zero, tiny and huge gradients leave the weights finite.

    Breach: a division by 0, as by the norm of a gradient that is 0, which a token has that is in no text: add eps.
    Where huge gradients fail, a power of them overflows.
    """
    noise = trial.gradients(1)[0]
    zero = {n: torch.zeros_like(g) for n, g in noise.items()}
    cases = {
        "zeros": zero,
        "tiny gradients": {n: 1e-30 * g for n, g in noise.items()},
        "huge gradients": {n: 1e6 * g for n, g in noise.items()},
        "one huge row, and zeros": {n: _first_row(g, 1e8) for n, g in noise.items()},
    }
    for case, gradients in cases.items():
        for kind in (torch.float32, torch.bfloat16):
            run = trial.begin(kind)
            run.step(gradients, gradients, noise, zero)
            for name, parameter in run.parameters.items():
                if not parameter.isfinite().all():
                    return Figure(math.inf, f"not finite: {name}", f"{case}, in {named(kind)}")
    return truth(True, f"{len(cases)} sorts, 2 dtypes")


def _first_row(like: Tensor, value: float) -> Tensor:
    found = torch.zeros_like(like)
    found[0] = value
    return found
