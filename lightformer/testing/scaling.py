"""What every scaling of rotary positions promises, tried by itself and inside rope."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lightformer import attention, position
from lightformer.backbone import Backbone
from lightformer.registry import required_options
from lightformer.scaling import ScalingSpec
from lightformer.testing import modules
from lightformer.testing.devices import ELSEWHERE, follows
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
from lightformer.testing.sizes import Sizes

SEQ, FAR = 7, 1009
WAVES = tuple((turning, base) for turning in (2, 10, 128) for base in (10_000.0, 500_000.0))
"""So many dimensions turn, with such a rope_theta."""
TINY = 1e-30
"""A frequency must be above it."""


@trial("scaling")
@dataclass(frozen=True)
class ScalingTrial:
    """A scaling, and the frequencies that it is tried on."""

    spec: ScalingSpec
    sizes: Sizes = field(default_factory=Sizes)

    def each(self, measure: Callable[[Tensor, Tensor], Figure]) -> Figure:
        """The worst figure of frequencies with and without scaling, over several of them."""
        figures = {}
        for turning, base in WAVES:
            scaled = self.spec().frequencies(plain(turning, base), base)
            name = f"{turning} dimensions, rope_theta {base:.0f}"
            figures[name] = measure(scaled, plain(turning, base))
        return worst(figures)

    def model(self) -> Backbone:
        """A backbone whose queries and keys turn by scaled angles."""
        return self.sizes.backbone(
            is_causal=False, attention=attention.mha(), position=position.rope(scaling=self.spec)
        )


def plain(turning: int, base: float) -> Tensor:
    """Frequencies without scaling, (turning / 2,)."""
    return base ** -(torch.arange(0, turning, 2, dtype=torch.float64) / turning)


@promise("scaling")
def runs(trial: ScalingTrial) -> Figure:
    """As many frequencies come out as go in.

    Breach: frequencies must take (turning / 2,) and return (turning / 2,); it may be one alone.
    """

    def measure(scaled: Tensor, old: Tensor) -> Figure:
        return truth(scaled.shape == old.shape, f"{tuple(scaled.shape)} from {tuple(old.shape)}")

    figure = trial.each(measure)
    return truth(True, f"{len(WAVES)} sets") if figure.held else figure


@promise("scaling", needs=("runs",))
def positive(trial: ScalingTrial) -> Figure:
    """Frequencies are finite and above 0.

    Breach: a ramp that is not held between 0 and 1, or one whose ends meet, so that it divides by 0.
    """

    def measure(scaled: Tensor, old: Tensor) -> Figure:
        lowest = scaled.min().item() if scaled.isfinite().all() else math.nan
        return Figure(TINY / lowest if lowest > 0 else math.inf, f"lowest {lowest:.1e}")

    return trial.each(measure)


@promise("scaling", needs=("positive",))
def steady(trial: ScalingTrial) -> Figure:
    """The same go in, the same come out; what went in stays.

    Breach: it remembers earlier calls, or works in place (/=, .mul_()).
    """
    turning, base = WAVES[-1]
    part, old = trial.spec(), plain(turning, base)
    first = trial.spec().frequencies(old, base).clone()
    figures = {"what went in": difference(old, plain(turning, base))}
    for other in WAVES:
        part.frequencies(plain(*other), other[1])
    again = part.frequencies(plain(turning, base), base) / first
    figures["after others"] = difference(again, torch.ones_like(again))
    return worst(figures)


@promise("scaling", needs=("steady",))
def dtype(trial: ScalingTrial) -> Figure:
    """The dtype is kept, and float32 gives what float64 gives.

    Breach: torch.arange or torch.tensor without dtype=frequencies.dtype, or a power that float32 cannot hold.
    """
    figures = {}
    for turning, base in WAVES:
        old = plain(turning, base)
        exact, found = (
            trial.spec().frequencies(old.to(t), base) for t in (old.dtype, torch.float32)
        )
        for scaled, kind in ((exact, torch.float64), (found, torch.float32)):
            if scaled.dtype != kind:
                return truth(False, f"{scaled.dtype} from {kind}")
        figures[f"{turning} dimensions"] = difference(found / exact, torch.ones_like(exact), 1e-5)
    return worst(figures)


@promise("scaling", needs=("steady",))
def stretches(trial: ScalingTrial) -> Figure:
    """No wave grows shorter, and some grow longer.

    Breach: frequencies are multiplied by what they should be divided by; or all stay as they were, as for a training
    that was longer than any wave.
    """
    longest = 1.0

    def measure(scaled: Tensor, old: Tensor) -> Figure:
        nonlocal longest
        longest = max(longest, (old / scaled).max().item())
        most = (scaled / old).max().item()
        return Figure(most - 1e-9, f"times {most:.4g} (at most 1)")

    figure = trial.each(measure)
    if figure.held and trial.spec.options().get("factor") != 1.0:
        return truth(longest > 1.001, f"up to {longest:.2f} times longer")
    return figure


@promise("scaling", needs=("steady",))
def order(trial: ScalingTrial) -> Figure:
    """A longer wave stays longer than a shorter one.

    Breach: a ramp that runs the wrong way, or the rule for long waves starts with a leap.
    """

    def measure(scaled: Tensor, old: Tensor) -> Figure:
        most = (scaled[1:] / scaled[:-1]).max().item() if len(scaled) > 1 else 1.0
        return Figure(most - 1e-9, f"ratio {most:.4g} (at most 1)")

    return trial.each(measure)


@promise("scaling", needs=("runs",))
def attention_factor(trial: ScalingTrial) -> Figure:
    """Queries and keys are multiplied by a number above 0.

    Breach: attention_factor is a tensor, which stays on its device; or a logarithm in it has the wrong sign.
    """
    factor = trial.spec().attention_factor
    if not isinstance(factor, (int, float)):
        return truth(False, f"a {type(factor).__name__}")
    return truth(0.0 < factor < math.inf, f"{factor:.3f}")


@promise("scaling", needs=("dtype", "stretches", "order", "attention factor"))
def factor_one(trial: ScalingTrial) -> Figure:
    """With factor 1 all stays as it was.

    Breach: the factor is squared, shifted or forgotten in one of the rules; or attention_factor is not 1 then.
    """
    if "factor" not in trial.spec.options():
        raise DoesNotApply("it has no option factor")
    one = dataclasses.replace(trial, spec=trial.spec.replace(factor=1.0))
    options = {name: getattr(trial.spec, name) for name in required_options(type(trial.spec))}
    least = type(trial.spec)(**{**options, "factor": 1.0})
    return worst(
        {
            "": one.each(lambda scaled, old: difference(scaled / old, torch.ones_like(old))),
            "attention_factor": difference(
                torch.tensor(least().attention_factor), torch.tensor(1.0)
            ),
        }
    )


@promise("scaling", needs=("dtype", "stretches", "order"))
@torch.no_grad()
def rope(trial: ScalingTrial) -> Figure:
    """Inside rope a model knows order, by distances alone.

    Breach: waves grow so long that neighbours look alike, as where the factor is applied more than once.
    """
    model, vocab_size = trial.model(), trial.sizes.vocab_size
    ids, swap = torch.arange(SEQ)[None] % vocab_size, torch.tensor([4, 1, 2, 3, 0, 5, 6])
    out, far = model(ids), torch.arange(FAR, FAR + SEQ)[None]
    return worst(
        {
            f"all moved by {FAR}": difference(model(ids, position_ids=far), out),
            "tokens that change places": change(model(ids[:, swap]), out[:, swap], 1e-4),
        }
    )


class _Rope(nn.Module):
    """Rotary positions with a scaling, as a module that can be called."""

    def __init__(self, trial: ScalingTrial) -> None:
        super().__init__()
        self.part = position.rope(scaling=trial.spec)(trial.sizes.dimensions())

    def forward(self, states: Tensor) -> Tensor:
        return self.part.rotate(states, torch.arange(SEQ)[None])


@promise("scaling", needs=("steady",))
def compiles(trial: ScalingTrial) -> Figure:
    """torch.compile takes rope with it, without a graph break.

    Breach: Python that looks at the values of a tensor breaks the graph, such as `if frequencies[-1] < bound`.
    """
    states = torch.randn(2, trial.sizes.num_heads, SEQ, trial.sizes.head_dim, dtype=torch.float64)
    return modules.compiles(_Rope(trial), lambda rope: rope(states))


@promise("scaling", needs=("compiles",))
def device(trial: ScalingTrial) -> Figure:
    """It works on a GPU: its tensors are made where frequencies are.

    Breach: torch.arange or torch.tensor without device=frequencies.device.
    """
    turning, base = WAVES[-1]
    frequencies = plain(turning, base).to(ELSEWHERE)
    return follows(lambda: {"frequencies": trial.spec().frequencies(frequencies, base)})
