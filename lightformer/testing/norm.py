"""What every norm promises."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lightformer.norm import Norm, NormSpec
from lightformer.testing import modules
from lightformer.testing.devices import ELSEWHERE
from lightformer.testing.options import all_act
from lightformer.testing.promise import (
    Figure,
    change,
    difference,
    promise,
    trial,
    truth,
    worst,
)
from lightformer.testing.sizes import Sizes, stir

LARGER, MOST = 1000.0, 10.0
"""A vector so many times as large comes out at most so many times as large."""


@trial("norm")
@dataclass(frozen=True)
class NormTrial:
    """A norm, and the vectors that it is tried on."""

    spec: NormSpec
    sizes: Sizes = field(default_factory=Sizes)

    @property
    def size(self) -> int:
        return self.sizes.hidden_size

    def part(self) -> Norm:
        """A norm in float64, in which every parameter matters."""
        return stir(self.spec(self.size).double()).eval()

    def states(self, *shape: int) -> Tensor:
        """Vectors of several sizes, around several means."""
        states = torch.randn(*shape, self.size, dtype=torch.float64)
        return states * torch.rand(*shape, 1).double().add(0.5) + torch.randn(*shape, 1)


@promise("norm")
def runs(trial: NormTrial) -> Figure:
    """Vectors of any width go in and come out, in any shape.

    Breach: forward must take (..., size) and return (..., size). It meets (batch, seq, hidden), as well as
    (batch, heads, seq, head_dim), which is no contiguous tensor: use dim=-1, and no view of three dimensions.
    """
    shapes: tuple[tuple[int, ...], ...] = ((), (5,), (2, 7), (2, 3, 7), (1, 1, 1), (0,), (2, 0))
    for size in (trial.sizes.hidden_size, trial.sizes.head_dim):
        part = trial.spec(size)
        for shape in shapes:
            found = part(torch.randn(*shape, size)).shape
            if found != (*shape, size):
                return truth(False, f"{tuple(found)} from {(*shape, size)}")
        part(torch.randn(2, 7, 3, size).transpose(1, 2))
    return truth(True, f"{len(shapes) + 1} shapes")


@promise("norm", needs=("runs",))
def intact(trial: NormTrial) -> Figure:
    """What it is given stays as it was.

    Breach: it works in place (-=, .mul_()), and so spoils the residual that its input is.
    """
    return modules.intact(trial.part(), trial.states(2, 7))


@promise("norm", needs=("intact",))
def steady(trial: NormTrial) -> Figure:
    """The same input gives the same output, also in train().

    Breach: it remembers what it has seen, as the running statistics of batch norm do; or something is random; or
    memory is read as if it were contiguous.
    """
    part, states, other = trial.part(), trial.states(2, 7), trial.states(3, 5) * 3.0
    figure = modules.steady(part, lambda part: part(states), lambda part: part(other))
    return worst({"": figure, "other strides": modules.layout(part, states)})


@promise("norm", needs=("steady",))
def alone(trial: NormTrial) -> Figure:
    """Each vector is normalised by itself.

    Breach: a mean or a maximum is taken over more than the last dimension, so that other positions and other rows
    of a batch act on a vector. Give it dim=-1, keepdim=True.
    """
    part, states = trial.part(), trial.states(2, 3, 7)
    found = part(states).flatten(0, 2)
    return difference(found, torch.stack([part(vector) for vector in states.flatten(0, 2)]))


@promise("norm", needs=("steady",))
def reads(trial: NormTrial) -> Figure:
    """Every number of a vector matters, by its sign and by its size.

    Breach: a dimension is left out; or each number is divided by itself, where a mean over the vector was forgotten.
    """
    part = trial.spec(trial.size).double().eval()
    vector = torch.linspace(0.6, 1.9, trial.size, dtype=torch.float64)
    vector[::2] *= -1.0
    figures = {}
    for i in range(trial.size):
        for name, factor in (("sign", -1.0), ("size", 2.0)):
            other = vector.clone()
            other[i] *= factor
            figures[f"{name} of number {i}"] = change(part(other), part(vector), 1e-4)
    return worst(figures)


@promise("norm", needs=("intact",))
def finite(trial: NormTrial) -> Figure:
    """Zeros, equal and huge numbers: all is finite, gradients too.

    Breach: a division by 0, or a root at 0, whose gradient is infinite: put eps inside the root. Where huge numbers
    fail, a power or an exponential of them overflows.
    """
    shape = (2, 7, trial.size)
    single = torch.zeros(shape)
    single[..., 0] = 1e4
    cases = {
        "zeros": torch.zeros(shape),
        "equal numbers": torch.full(shape, 3.0),
        "tiny numbers": torch.randn(shape) * 1e-30,
        "huge numbers": torch.randn(shape) * 1e4,
        "one huge number": single,
    }
    return modules.finite(lambda: stir(trial.spec(trial.size)), cases)


@promise("norm", needs=("steady", "finite"))
def scale(trial: NormTrial) -> Figure:
    """A vector 1000 times as large comes out of like size.

    Breach: it divides by too little (a root too many or too few); or it is no norm, which is no mistake if it is meant
    (leave this promise out with --skip scale).
    """
    part, states = trial.part(), trial.states(2, 7)
    larger = part(states * LARGER).square().mean().sqrt() / part(states).square().mean().sqrt()
    return Figure(larger.item() / MOST, f"{larger:.1f} times (at most {MOST:.0f})")


@promise("norm", needs=("steady", "reads"))
def learns(trial: NormTrial) -> Figure:
    """Every parameter has a gradient.

    Breach: a parameter is detached or unused.
    """
    part = trial.part().train()
    return modules.learns(part, part(trial.states(2, 7)))


@promise("norm", needs=("steady", "learns"))
def gradients(trial: NormTrial) -> Figure:
    """Gradients agree with finite differences.

    Breach: something is detached, such as what the vector is divided by; or a backward of one's own is wrong.
    """
    return modules.gradients(trial.part(), trial.states(2, 5))


@promise("norm", needs=("runs",))
def dtype(trial: NormTrial) -> Figure:
    """The dtype is kept, and autocast to bfloat16 works.

    Breach: a tensor is made without a dtype, or what was computed in float32 is not cast back.
    """
    states = trial.states(2, 7)
    return modules.dtype(trial.part(), lambda part, kind: part(states.to(kind)))


@promise("norm", needs=("steady",))
def state(trial: NormTrial) -> Figure:
    """Its state_dict holds all that it has learned.

    Breach: a tensor that matters is no parameter and no buffer.
    """
    states = trial.states(2, 7)
    return modules.state(trial.part(), trial.part(), lambda part: part(states))


@promise("norm", needs=("steady",))
def compiles(trial: NormTrial) -> Figure:
    """torch.compile takes it whole, without a graph break.

    Breach: Python that looks at the values of a tensor (.item(), if on a tensor) breaks the graph.
    """
    states = trial.states(2, 7)
    return modules.compiles(trial.part(), lambda part: part(states))


@promise("norm", needs=("compiles",))
def device(trial: NormTrial) -> Figure:
    """It works on a GPU: its tensors are made where its input is.

    Breach: torch.arange, torch.ones or torch.tensor without device=states.device, or a table that is no buffer.
    """
    states = trial.states(2, 7).to(ELSEWHERE)
    return modules.device(trial.part(), lambda part: part(states))


@promise("norm", needs=("steady",))
def options(trial: NormTrial) -> Figure:
    """Each option does something.

    Breach: an option is read and not used, or another stands in its place. Where it acts only together with another
    one, leave this promise out with --skip options, or try it with that one, by --options.
    """
    states = trial.states(2, 7)
    return all_act(trial.spec, lambda spec: spec(trial.size), lambda part: part(states))
