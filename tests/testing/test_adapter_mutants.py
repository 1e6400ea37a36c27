"""Adapters with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer.backbone import Backbone
from lightformer.errors import ConfigError
from lightformer.linear_adapter import NAME, Addition, LinearAdapter
from lightformer.registry import Spec
from lightformer.testing import promises
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("adapter")
RANK, SCALE = 3, 0.7
TARGETS = ("*.attention.query", "*.feedforward.output")


class Thin(Addition):
    """Two thin matrices, to be spoilt."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn_like(linear.weight[:1].expand(RANK, -1)))
        self.up = nn.Parameter(linear.weight.new_zeros(linear.out_features, RANK))

    def forward(self, states: Tensor) -> Tensor:
        return F.linear(F.linear(states, self.down), self.up) * SCALE

    def matrix(self) -> Tensor:
        return self.up @ self.down * SCALE


class Plain(LinearAdapter):
    """Adds two thin matrices to some maps, to be spoilt."""

    made: type[Thin] = Thin

    def __init__(self, *, targets: tuple[str, ...] = TARGETS) -> None:
        super().__init__(targets)

    def addition(self, linear: nn.Linear) -> Addition:
        return self.made(linear)


def adapted_maps(backbone: nn.Module) -> list[nn.Linear]:
    return [m for m in backbone.modules() if isinstance(m, nn.Linear) and hasattr(m, NAME)]


@mutants.breaks("runs")
class HidesItsParameters(Plain):
    """In a tuple, where no module finds them."""

    class made(Thin):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__(linear)
            hidden = (self.down, self.up)
            del self.down, self.up
            self.hidden = hidden

        def forward(self, states: Tensor) -> Tensor:
            return F.linear(F.linear(states, self.hidden[0]), self.hidden[1])


@mutants.breaks("runs")
class AddsADimension(Plain):
    class made(Thin):
        def forward(self, states: Tensor) -> Tensor:
            return super().forward(states)[None]


@mutants.breaks("rest")
class WrapsTheMap(Plain):
    def attach(self, backbone: nn.Module) -> None:
        super().attach(backbone)
        for block in backbone.get_submodule("blocks").children():
            block.attention.query = nn.Sequential(block.attention.query)


@mutants.breaks("rest")
class StartsTheBackboneAnew(Plain):
    def attach(self, backbone: nn.Module) -> None:
        super().attach(backbone)
        for linear in adapted_maps(backbone):
            nn.init.normal_(linear.weight)


@mutants.breaks("start")
class StartsAtRandom(Plain):
    class made(Thin):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__(linear)
            nn.init.normal_(self.up)


@mutants.breaks("start")
class IsAlmostNothing(Plain):
    """A scale beside it starts near 1."""

    def attach(self, backbone: nn.Module) -> None:
        super().attach(backbone)
        for linear in adapted_maps(backbone):
            linear.register_forward_hook(lambda _linear, _given, result: result * (1 + 1e-12))


@mutants.breaks("targets")
class TakesEveryMap(Plain):
    def __init__(self, *, targets: tuple[str, ...] = TARGETS) -> None:
        super().__init__(targets=("*",))


@mutants.breaks("targets")
class PassesOverWhatIsNotThere(Plain):
    def attach(self, backbone: nn.Module) -> None:
        try:
            super().attach(backbone)
        except ConfigError:
            return


@mutants.breaks("dtype")
class NarrowsTheDtype(Plain):
    class made(Thin):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__(linear)
            self.float()

        def forward(self, states: Tensor) -> Tensor:
            return super().forward(states.float()).to(states.dtype)


@mutants.breaks("dtype")
class WidensTheResult(Plain):
    class made(Thin):
        def forward(self, states: Tensor) -> Tensor:
            return super().forward(states).double()


@mutants.breaks("device")
class ForgetsTheDevice(Plain):
    class made(Thin):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__(linear)
            zeros = torch.zeros(linear.out_features, RANK, dtype=linear.weight.dtype)
            self.up = nn.Parameter(zeros)


@mutants.breaks("steady")
class AlwaysDropsSome(Plain):
    class made(Thin):
        def forward(self, states: Tensor) -> Tensor:
            return super().forward(F.dropout(states, 0.5))


@mutants.breaks("steady")
class GrowsWithEachCall(Plain):
    class made(Thin):
        calls = 0

        def forward(self, states: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(states) * self.calls


@mutants.breaks("compiles")
class LooksAtItsValues(Plain):
    class made(Thin):
        def forward(self, states: Tensor) -> Tensor:
            found = super().forward(states)
            return found if self.up.any() else found * 1.0


@mutants.breaks("stays")
class WearsTheWeightDown(Plain):
    def attach(self, backbone: nn.Module) -> None:
        super().attach(backbone)
        for linear in adapted_maps(backbone):
            linear.register_forward_hook(_wear)


def _wear(linear: nn.Module, given: Any, result: Tensor) -> None:
    if linear.training:
        linear.weight.data.mul_(1 - 1e-14)


@mutants.breaks("learns")
class StartsTwiceAtZero(Plain):
    class made(Thin):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__(linear)
            nn.init.zeros_(self.down)


@mutants.breaks("learns")
class KeepsAFactorFromLearning(Plain):
    class made(Thin):
        def forward(self, states: Tensor) -> Tensor:
            return F.linear(F.linear(states, self.down.detach()), self.up) * SCALE


@mutants.breaks("gradients")
class DetachesItsInput(Plain):
    class made(Thin):
        def forward(self, states: Tensor) -> Tensor:
            return super().forward(states.detach())


@mutants.breaks("state")
class KeepsAFactorOutside(Plain):
    """One that is drawn and does not learn, and that no state_dict has."""

    class made(Thin):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__(linear)
            drawn = self.down.detach()
            del self.down
            self.register_buffer("down", drawn, persistent=False)


@mutants.breaks("merged")
class ForgetsTheScale(Plain):
    class made(Thin):
        def matrix(self) -> Tensor:
            return self.up @ self.down


@mutants.breaks("merged")
class LeavesItsHook(Plain):
    def merge(self, backbone: nn.Module) -> None:
        maps = adapted_maps(backbone)
        before = [dict(linear._forward_hooks) for linear in maps]
        super().merge(backbone)
        for linear, hooks in zip(maps, before, strict=True):
            linear._forward_hooks.update(hooks)


@mutants.breaks("names")
class LeavesABuffer(Plain):
    def attach(self, backbone: nn.Module) -> None:
        super().attach(backbone)
        for linear in adapted_maps(backbone):
            linear.register_buffer("rank", torch.tensor(RANK))


@mutants.breaks("again")
class LeavesAHookThatIsAsleep(Plain):
    """It wakes as soon as there is something to add again."""

    def merge(self, backbone: nn.Module) -> None:
        maps = adapted_maps(backbone)
        super().merge(backbone)
        for linear in maps:
            linear.register_forward_hook(_add_what_is_there)


def _add_what_is_there(linear: nn.Module, given: Any, result: Tensor) -> Tensor:
    return result + getattr(linear, NAME)(given[0]) if hasattr(linear, NAME) else result


@mutants.breaks("again")
class AttachesOnce(Plain):
    is_attached = False

    def attach(self, backbone: nn.Module) -> None:
        if not self.is_attached:
            super().attach(backbone)
        self.is_attached = True


@mutants.breaks("copies")
class HoldsWhatItWasMadeFor(Plain):
    """Its hooks are closures, which a copy shares."""

    def attach(self, backbone: nn.Module) -> None:
        super().attach(backbone)
        for linear in adapted_maps(backbone):
            addition: Any = getattr(linear, NAME)
            addition.handle.remove()
            addition.handle = linear.register_forward_hook(_closure(addition))


def _closure(addition: Addition) -> Any:
    return lambda _linear, given, result: result + addition(given[0])


@mutants.breaks("shared")
class GoesOverTheLayers(Plain):
    def attach(self, backbone: nn.Module) -> None:
        super().attach(backbone)
        assert isinstance(backbone, Backbone)
        seen = set[nn.Module]()
        for layer in backbone.layers():
            for linear in adapted_maps(layer) if layer in seen else ():
                linear.register_forward_hook(_add_what_is_there)
            seen.add(layer)


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("adapter")}
