"""Feed-forward networks with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer.dimensions import Dimensions
from lightformer.feedforward import FeedForward
from lightformer.registry import Spec
from lightformer.testing import promises
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("feedforward")


class Plain(FeedForward):
    """Two linear maps with a nonlinearity between them, to be spoilt."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__()
        self.input = nn.Linear(dims.hidden_size, dims.intermediate_size)
        self.output = nn.Linear(dims.intermediate_size, dims.hidden_size)

    def activation(self, inner: Tensor) -> Tensor:
        return F.silu(inner)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.output(self.activation(self.input(hidden_states)))


@mutants.breaks("runs")
class SwapsItsWidths(Plain):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.input = nn.Linear(dims.intermediate_size, dims.hidden_size)


@mutants.breaks("runs")
class StaysInside(Plain):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.output = nn.Linear(dims.intermediate_size, dims.intermediate_size)


@mutants.breaks("runs")
class WantsContiguousMemory(Plain):
    def forward(self, hidden_states: Tensor) -> Tensor:
        rows = hidden_states.view(-1, hidden_states.shape[-1])
        return super().forward(rows).view_as(hidden_states)


@mutants.breaks("intact")
class SquashesInPlace(Plain):
    def forward(self, hidden_states: Tensor) -> Tensor:
        return super().forward(hidden_states.tanh_())


@mutants.breaks("steady")
class ReadsMemoryAsItLies(Plain):
    """As a kernel of one's own that does not look at strides."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        size = hidden_states.shape[-1]
        batch, seq_len = hidden_states.shape[:2]
        flat = hidden_states.as_strided((batch, seq_len, size), (seq_len * size, size, 1))
        return super().forward(flat)


@mutants.breaks("steady")
class IsNoisy(Plain):
    def activation(self, inner: Tensor) -> Tensor:
        return super().activation(inner) + 1e-3 * torch.randn_like(inner)


@mutants.breaks("steady")
class OtherInTraining(Plain):
    def activation(self, inner: Tensor) -> Tensor:
        return F.rrelu(inner, training=self.training)


@mutants.breaks("steady")
class RemembersItsTraining(Plain):
    """What it has seen in train() acts only afterwards."""

    seen: Tensor

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.register_buffer("seen", torch.zeros(1))

    def activation(self, inner: Tensor) -> Tensor:
        found = super().activation(inner)
        out = found / (1.0 + self.seen.to(inner.dtype))
        if self.training:
            self.seen = self.seen.lerp(found.detach().abs().mean().to(self.seen.dtype), 0.5)
        return out


@mutants.breaks("alone")
class LooksOneBack(Plain):
    """A token shift."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        before = F.pad(hidden_states, (0, 0, 1, 0))[:, :-1]
        return super().forward(0.5 * hidden_states + 0.5 * before)


@mutants.breaks("alone")
class ScalesByTheBatch(Plain):
    def activation(self, inner: Tensor) -> Tensor:
        return super().activation(inner / (1.0 + inner.abs().mean(dim=0)))


@mutants.breaks("reads")
class CutsItsInput(Plain):
    def forward(self, hidden_states: Tensor) -> Tensor:
        read = hidden_states.shape[-1] // 2
        return super().forward(F.pad(hidden_states[..., :read], (0, read)))


@mutants.breaks("nonlinear")
class ForgetsItsActivation(Plain):
    def activation(self, inner: Tensor) -> Tensor:
        return inner


@mutants.breaks("output")
class CallsItDown(Plain):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.down = self.output
        del self.output

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.down(self.activation(self.input(hidden_states)))


@mutants.breaks("output")
class AddsItsInput(Plain):
    def forward(self, hidden_states: Tensor) -> Tensor:
        return hidden_states + super().forward(hidden_states)


@mutants.breaks("finite")
class ExponentialsOverflow(Plain):
    def activation(self, inner: Tensor) -> Tensor:
        return inner / (1.0 + (-inner).exp())


@mutants.breaks("finite")
class DividesByTheLargest(Plain):
    def forward(self, hidden_states: Tensor) -> Tensor:
        return super().forward(hidden_states / hidden_states.abs().amax(dim=-1, keepdim=True))


@mutants.breaks("learns")
class HasAnIdleMap(Plain):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.gate = nn.Linear(dims.hidden_size, dims.intermediate_size)


@mutants.breaks("learns")
class GateIsDetached(Plain):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.gate = nn.Linear(dims.hidden_size, dims.intermediate_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        gate = self.gate(hidden_states).sigmoid().detach()
        return self.output(gate * self.activation(self.input(hidden_states)))


@mutants.breaks("gradients")
class HalvesGradients(Plain):
    def activation(self, inner: Tensor) -> Tensor:
        found = super().activation(inner)
        return 0.5 * found + 0.5 * found.detach()


class WithDropout(Plain):
    def __init__(self, dims: Dimensions, /, *, dropout: float = 0.0) -> None:
        super().__init__(dims)
        self.share = dropout


@mutants.breaks("dropout")
class NeverDrops(WithDropout):
    pass


@mutants.breaks("dropout", dropout=0.1)
class DropsInUse(WithDropout):
    def activation(self, inner: Tensor) -> Tensor:
        return F.dropout(super().activation(inner), self.share)


@mutants.breaks("dropout")
class ShrinksInUse(WithDropout):
    """As the first paper has it, but training is scaled as well."""

    def activation(self, inner: Tensor) -> Tensor:
        found = F.dropout(super().activation(inner), self.share, self.training)
        return found if self.training else found * (1.0 - self.share)


@mutants.breaks("dropout")
class DropsAsItLikes(WithDropout):
    def activation(self, inner: Tensor) -> Tensor:
        return F.dropout(super().activation(inner), 0.5 if self.share else 0.0, self.training)


@mutants.breaks("dtype")
class WidensTheDtype(Plain):
    def activation(self, inner: Tensor) -> Tensor:
        return super().activation(inner) * torch.ones(1, device=inner.device)

    def forward(self, hidden_states: Tensor) -> Tensor:
        inner = self.activation(self.input(hidden_states))
        return F.linear(inner, self.output.weight.to(inner), self.output.bias.to(inner))


@mutants.breaks("state")
class HidesANumber(Plain):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.factor = 1.0 + torch.rand(()).item()

    def activation(self, inner: Tensor) -> Tensor:
        return super().activation(inner) * self.factor


@mutants.breaks("compiles")
class LooksAtValues(Plain):
    """Experts that nobody chose are skipped."""

    def activation(self, inner: Tensor) -> Tensor:
        return super().activation(inner) if inner.abs().sum().item() > 0 else inner * 0.0


@mutants.breaks("device")
class ForgetsTheDevice(Plain):
    def activation(self, inner: Tensor) -> Tensor:
        steps = torch.linspace(0.5, 1.5, inner.shape[-1])
        return super().activation(inner * steps.to(inner.dtype))


@mutants.breaks("options")
class HasAnIdleOption(Plain):
    def __init__(self, dims: Dimensions, /, *, factor: float = 1.0) -> None:
        super().__init__(dims)


@mutants.breaks("options")
class KeepsItsActivation(Plain):
    def __init__(
        self, dims: Dimensions, /, *, activation: Literal["silu", "gelu"] = "silu"
    ) -> None:
        super().__init__(dims)


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("feedforward")}
