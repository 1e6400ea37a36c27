"""Norms with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lightformer.norm import Norm
from lightformer.registry import Spec
from lightformer.testing import promises
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("norm")


class Plain(Norm):
    """A root mean square norm, to be spoilt."""

    def __init__(self, size: int, /) -> None:
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.ones(size))

    def mean_square(self, states: Tensor) -> Tensor:
        return states.square().mean(dim=-1, keepdim=True)

    def forward(self, states: Tensor) -> Tensor:
        return self.weight * states * (self.mean_square(states) + 1e-6).rsqrt()


@mutants.breaks("runs")
class WantsThreeDimensions(Plain):
    def forward(self, states: Tensor) -> Tensor:
        batch, seq_len, _ = states.shape
        return super().forward(states.reshape(batch * seq_len, -1)).view(batch, seq_len, -1)


@mutants.breaks("runs")
class WantsContiguousMemory(Plain):
    def forward(self, states: Tensor) -> Tensor:
        return super().forward(states.view(states.shape.numel() // self.size, -1)).view_as(states)


@mutants.breaks("intact")
class CentresInPlace(Plain):
    def forward(self, states: Tensor) -> Tensor:
        states -= states.mean(dim=-1, keepdim=True)
        return super().forward(states)


@mutants.breaks("steady")
class RunsAMean(Plain):
    """As batch norm does."""

    def __init__(self, size: int, /) -> None:
        super().__init__(size)
        self.register_buffer("running", torch.ones(1))

    def mean_square(self, states: Tensor) -> Tensor:
        return super().mean_square(states) if self.training else self.running


@mutants.breaks("steady")
class RemembersItsTraining(Plain):
    """What it has seen in train() acts only afterwards."""

    seen: Tensor

    def __init__(self, size: int, /) -> None:
        super().__init__(size)
        self.register_buffer("seen", torch.zeros(1))

    def mean_square(self, states: Tensor) -> Tensor:
        found = super().mean_square(states)
        out = found.maximum(0.1 * self.seen.to(states.dtype))
        if self.training:
            self.seen = self.seen.lerp(found.detach().mean().to(self.seen.dtype), 0.5)
        return out


@mutants.breaks("steady")
class IsNoisy(Plain):
    def mean_square(self, states: Tensor) -> Tensor:
        return super().mean_square(states) * (1.0 + 0.01 * torch.rand(1, dtype=states.dtype))


@mutants.breaks("alone")
class ForgetsTheDimension(Plain):
    def mean_square(self, states: Tensor) -> Tensor:
        return states.square().mean()


@mutants.breaks("alone")
class AveragesOverPositions(Plain):
    def mean_square(self, states: Tensor) -> Tensor:
        return states.square().mean(dim=tuple(range(1, states.ndim)) or -1, keepdim=True)


@mutants.breaks("reads")
class ForgetsTheMean(Plain):
    """What is left of a number is its sign."""

    def mean_square(self, states: Tensor) -> Tensor:
        return states.square()


@mutants.breaks("reads")
class LosesTheSign(Plain):
    def forward(self, states: Tensor) -> Tensor:
        return super().forward(states).abs()


@mutants.breaks("scale")
class TakesTwoRoots(Plain):
    def mean_square(self, states: Tensor) -> Tensor:
        return (super().mean_square(states) + 1e-6).sqrt()


@mutants.breaks("scale")
class OnlyScales(Plain):
    def forward(self, states: Tensor) -> Tensor:
        super().forward(states)
        return self.weight * states


@mutants.breaks("finite")
class DividesByZero(Plain):
    def forward(self, states: Tensor) -> Tensor:
        return self.weight * states / self.mean_square(states).sqrt()


@mutants.breaks("finite")
class AddsEpsTooLate(Plain):
    """Finite, but the gradient of a root at 0 is not."""

    def forward(self, states: Tensor) -> Tensor:
        return self.weight * states / (self.mean_square(states).sqrt() + 1e-6)


@mutants.breaks("finite")
class SquashesByExponentials(Plain):
    def forward(self, states: Tensor) -> Tensor:
        twice = (2.0 * states).exp()
        return self.weight * (twice - 1.0) / (twice + 1.0)


@mutants.breaks("learns")
class HasAnIdleBias(Plain):
    def __init__(self, size: int, /) -> None:
        super().__init__(size)
        self.bias = nn.Parameter(torch.zeros(size))


@mutants.breaks("learns")
class DetachesItsWeight(Plain):
    def forward(self, states: Tensor) -> Tensor:
        return self.weight.data * states * (self.mean_square(states) + 1e-6).rsqrt()


@mutants.breaks("gradients")
class DetachesWhatItDividesBy(Plain):
    def mean_square(self, states: Tensor) -> Tensor:
        return super().mean_square(states).detach()


@mutants.breaks("dtype")
class StaysInFloat32(Plain):
    def forward(self, states: Tensor) -> Tensor:
        if states.dtype == torch.float64:
            return super().forward(states)
        return super().forward(states.float())


@mutants.breaks("state")
class HidesANumber(Plain):
    def __init__(self, size: int, /) -> None:
        super().__init__(size)
        self.factor = 1.0 + torch.rand(()).item()

    def forward(self, states: Tensor) -> Tensor:
        return super().forward(states) * self.factor


@mutants.breaks("compiles")
class LooksAtValues(Plain):
    def forward(self, states: Tensor) -> Tensor:
        return super().forward(states) if states.sum().item() < 1e30 else torch.zeros_like(states)


@mutants.breaks("device")
class KeepsATable(Plain):
    """A tensor that is no buffer stays where it was made."""

    def __init__(self, size: int, /) -> None:
        super().__init__(size)
        self.sizes = torch.linspace(0.5, 1.5, size)

    def forward(self, states: Tensor) -> Tensor:
        return super().forward(states) * self.sizes.to(states.dtype)


@mutants.breaks("options")
class HasAnIdleOption(Plain):
    def __init__(self, size: int, /, *, factor: float = 1.0) -> None:
        super().__init__(size)


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("norm")}
