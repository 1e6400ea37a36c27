"""What every feed-forward network promises."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lightformer.feedforward import FeedForward, FeedForwardSpec
from lightformer.init import is_residual
from lightformer.testing import modules
from lightformer.testing.devices import ELSEWHERE
from lightformer.testing.options import all_act
from lightformer.testing.promise import (
    DoesNotApply,
    Figure,
    change,
    difference,
    promise,
    trial,
    truth,
    worst,
)
from lightformer.testing.sizes import Sizes, stir


@trial("feedforward")
@dataclass(frozen=True)
class FeedForwardTrial:
    """A feed-forward network, and the hidden states that it is tried on."""

    spec: FeedForwardSpec
    sizes: Sizes = field(default_factory=Sizes)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", modules.without_dropout(self.spec))

    def part(self) -> FeedForward:
        """A feed-forward network in float64, in which every parameter matters."""
        return stir(self.spec(self.sizes.dimensions()).double()).eval()

    def states(self, batch: int = 2, seq_len: int = 7) -> Tensor:
        return torch.randn(batch, seq_len, self.sizes.hidden_size, dtype=torch.float64)


@promise("feedforward")
def runs(trial: FeedForwardTrial) -> Figure:
    """Hidden states of the same shape come out, at any width.

    Breach: forward must take (batch, seq, hidden) and return (batch, seq, hidden); hidden is dims.hidden_size, and
    dims.intermediate_size may be larger or smaller.
    """
    hidden, inner = trial.sizes.hidden_size, trial.sizes.intermediate_size
    widths = ((hidden, inner), (2 * hidden, inner), (hidden, 3 * inner))
    for hidden, inner in widths:
        sizes = dataclasses.replace(trial.sizes, hidden_size=hidden, intermediate_size=inner)
        part = trial.spec(sizes.dimensions())
        for batch, seq_len in ((3, 1), (2, 7), (1, trial.sizes.max_seq_len)):
            states = torch.randn(seq_len, batch, hidden).transpose(0, 1)
            found = part(states).shape
            if found != states.shape:
                return truth(False, f"{tuple(found)} from {tuple(states.shape)}")
    return truth(True, f"{len(widths)} widths, 3 shapes")


@promise("feedforward", needs=("runs",))
def intact(trial: FeedForwardTrial) -> Figure:
    """What it is given stays as it was.

    Breach: it works in place (+=, .relu_()), and so spoils what other parts read.
    """
    return modules.intact(trial.part(), trial.states())


@promise("feedforward", needs=("intact",))
def steady(trial: FeedForwardTrial) -> Figure:
    """The same input gives the same output, also in train().

    Breach: something random, or something remembered, acts where there is no dropout; or memory is read as if it
    were contiguous.
    """
    part, states, other = trial.part(), trial.states(), trial.states(3, 5)
    figure = modules.steady(part, lambda part: part(states), lambda part: part(other))
    return worst({"": figure, "other strides": modules.layout(part, states)})


@promise("feedforward", needs=("steady",))
def alone(trial: FeedForwardTrial) -> Figure:
    """Each position is changed on its own.

    Breach: something is summed, shifted or reshaped across positions, which lets them see the future and padding;
    or across the rows of a batch. Only attention moves information between positions.
    """
    part, states = trial.part(), trial.states(3)
    found = part(states).flatten(0, 1)
    single = [part(vector[None, None])[0, 0] for vector in states.flatten(0, 1)]
    return difference(found, torch.stack(single))


@promise("feedforward", needs=("steady",))
def reads(trial: FeedForwardTrial) -> Figure:
    """Every number of a hidden state matters.

    Breach: a part of the input is cut off, for instance by a chunk or a slice of the wrong width.
    """
    part, states = trial.part(), trial.states()
    plain, figures = part(states), {}
    for i in range(trial.sizes.hidden_size):
        other = states.clone()
        other[..., i] += 1.0
        figures[f"number {i}"] = change(part(other), plain)
    return worst(figures)


@promise("feedforward", needs=("intact",))
def finite(trial: FeedForwardTrial) -> Figure:
    """Zeros and large numbers: all is finite, gradients too.

    Breach: an exponential overflows where torch's own activation would not; or something is divided by 0.
    """
    shape = (2, 7, trial.sizes.hidden_size)
    cases = {"zeros": torch.zeros(shape), "large numbers": torch.randn(shape) * 1e3}
    return modules.finite(lambda: stir(trial.spec(trial.sizes.dimensions())), cases)


@promise("feedforward", needs=("steady", "finite"))
def nonlinear(trial: FeedForwardTrial) -> Figure:
    """It is no linear map: f(a + b) is not f(a) + f(b).

    Breach: the activation is not called, so that two linear maps in a row are but one; which is no mistake if it is
    meant (leave this promise out with --skip nonlinear).
    """
    part, one, two = trial.part(), trial.states(), trial.states()
    zero = part(torch.zeros_like(one))
    return change(part(one + two) - zero, part(one) + part(two) - 2.0 * zero, 1e-3)


@promise("feedforward", needs=("steady",))
@torch.no_grad()
def output(trial: FeedForwardTrial) -> Figure:
    """What it adds goes through a linear map called output.

    Breach: with the weights of `output` at 0, what comes out still depends on the input. The last linear map has
    another name, so that initialisation cannot make it smaller in deep models; or the input is added to the result,
    which is for the block to do.
    """
    part = trial.part()
    linear = {n: m for n, m in part.named_modules() if isinstance(m, nn.Linear)}
    if not linear:
        raise DoesNotApply("it has no linear map")
    for name, module in linear.items():
        if is_residual(name):
            module.weight.zero_()
    found = part(trial.states())
    return difference(found, found[:1, :1].expand_as(found))


@promise("feedforward", needs=("steady", "reads"))
def learns(trial: FeedForwardTrial) -> Figure:
    """Every parameter has a gradient.

    Breach: a parameter is detached or unused.
    """
    part = trial.part().train()
    return modules.learns(part, part(trial.states()))


@promise("feedforward", needs=("steady", "learns"))
def gradients(trial: FeedForwardTrial) -> Figure:
    """Gradients agree with finite differences.

    Breach: something is detached, or a backward of one's own is wrong.
    """
    return modules.gradients(trial.part(), trial.states(seq_len=5))


@promise("feedforward", needs=("steady",))
def state(trial: FeedForwardTrial) -> Figure:
    """Its state_dict holds all that it has learned.

    Breach: a tensor that matters is no parameter and no buffer.
    """
    states = trial.states()
    return modules.state(trial.part(), trial.part(), lambda part: part(states))


@promise("feedforward", needs=("steady", "state"))
def dropout(trial: FeedForwardTrial) -> Figure:
    """Dropout acts in train() alone, as much as told.

    Breach: self.training is not asked, or the option or its value is not used.
    """
    if "dropout" not in trial.spec.options():
        raise DoesNotApply("it has no option dropout")
    plain, states = trial.part(), trial.states()

    def dropping(dropout: float) -> FeedForward:
        spec = trial.spec.replace(dropout=dropout)
        part = spec(trial.sizes.dimensions()).double()
        part.load_state_dict(plain.state_dict())
        return part

    much, nearly_none = dropping(0.4), dropping(modules.NEARLY_NONE)
    return modules.dropout(much, lambda part: part(states), plain(states), nearly_none=nearly_none)


@promise("feedforward", needs=("runs",))
def dtype(trial: FeedForwardTrial) -> Figure:
    """The dtype is kept, and autocast to bfloat16 works.

    Breach: a tensor is made without a dtype, or what was computed in float32 is not cast back.
    """
    states = trial.states()
    return modules.dtype(trial.part(), lambda part, kind: part(states.to(kind)))


@promise("feedforward", needs=("steady",))
def compiles(trial: FeedForwardTrial) -> Figure:
    """torch.compile takes it whole, without a graph break.

    Breach: Python that looks at the values of a tensor (.item(), if on a tensor) breaks the graph.
    """
    states = trial.states()
    return modules.compiles(trial.part(), lambda part: part(states))


@promise("feedforward", needs=("compiles",))
def device(trial: FeedForwardTrial) -> Figure:
    """It works on a GPU: its tensors are made where its input is.

    Breach: torch.arange, torch.ones or torch.tensor without device=states.device, or a table that is no buffer.
    """
    states = trial.states().to(ELSEWHERE)
    return modules.device(trial.part(), lambda part: part(states))


@promise("feedforward", needs=("steady", "dropout"))
def options(trial: FeedForwardTrial) -> Figure:
    """Each option does something.

    Breach: an option is read and not used, or another stands in its place. Where it acts only together with another
    one, leave this promise out with --skip options, or try it with that one, by --options.
    """
    dims, states = trial.sizes.dimensions(), trial.states()
    return all_act(trial.spec, lambda spec: spec(dims), lambda part: part(states))
