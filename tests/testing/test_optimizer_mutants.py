"""Optimizers with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lightformer.optimizer import NamedParameters, decay_groups
from lightformer.registry import Spec
from lightformer.testing import promises
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("optimizer")

Group = dict[str, Any]
Closure = Callable[[], Any]


class Plain(torch.optim.Optimizer):
    """Momentum, with decay apart from the gradient, to be spoilt."""

    def __init__(
        self, parameters: NamedParameters, /, *, lr: float = 0.1, weight_decay: float = 0.01
    ) -> None:
        super().__init__(decay_groups(parameters, weight_decay), {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.step_all()
        return loss

    def step_all(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.step_one(parameter, parameter.grad, group)

    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(group["lr"] * self.direction(parameter, gradient))

    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return self.momentum(parameter).mul_(0.9).add_(gradient)

    def momentum(self, parameter: Tensor) -> Tensor:
        return self.kept(parameter, "momentum", torch.zeros_like(parameter))

    def kept(self, parameter: Tensor, name: str, start: Any) -> Any:
        return self.state[parameter].setdefault(name, start)


@mutants.breaks("runs")
class ForgetsNoGrad(Plain):
    def step(self, closure: Closure | None = None) -> Any:
        loss = None if closure is None else closure()
        self.step_all()
        return loss


@mutants.breaks("runs")
class TakesAllForMatrices(Plain):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        rows, columns = gradient.shape
        return super().direction(parameter, gradient) * max(1, rows / columns) ** 0.5


@mutants.breaks("runs")
class WantsContiguousMemory(Plain):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return super().direction(parameter, gradient.view(-1).view(parameter.shape))


@mutants.breaks("runs")
def is_no_optimizer(parameters: NamedParameters, /, *, lr: float = 0.1) -> Any:
    class Steps:
        def step(self) -> None: ...

    return Steps()


@mutants.breaks("groups")
class LeavesVectorsOut(Plain):
    def __init__(
        self, parameters: NamedParameters, /, *, lr: float = 0.1, weight_decay: float = 0.01
    ) -> None:
        outer = [(n, p) for n, p in parameters if p.ndim > 1 or "blocks" not in n]
        super().__init__(outer, lr=lr, weight_decay=weight_decay)


@mutants.breaks("groups")
class KeepsTheRateToItself(Plain):
    def __init__(
        self, parameters: NamedParameters, /, *, lr: float = 0.1, weight_decay: float = 0.01
    ) -> None:
        torch.optim.Optimizer.__init__(self, decay_groups(parameters, weight_decay), {})
        self.lr = lr

    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        super().step_one(parameter, gradient, {**group, "lr": self.lr})


@mutants.breaks("moves")
class StepsMatricesAlone(Plain):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        if parameter.ndim > 1:
            super().step_one(parameter, gradient, group)


@mutants.breaks("moves")
class StepsByTheSizeOfTheWeights(Plain):
    """As LARS and LAMB do, but these take a step of size 1 where the weights are 0."""

    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        found = super().direction(parameter, gradient)
        return found * parameter.norm() / found.norm().clamp(min=1e-6)


@mutants.breaks("stays")
class TakesNoneForZero(Plain):
    def step_all(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                given = parameter.grad
                gradient = torch.zeros_like(parameter) if given is None else given
                self.step_one(parameter, gradient, group)


@mutants.breaks("stays")
class WantsAllGradients(Plain):
    def step_all(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                self.step_one(parameter, parameter.grad.detach(), group)


@mutants.breaks("stays")
class WantsSomeGradient(Plain):
    def step_all(self) -> None:
        parameters = [p for group in self.param_groups for p in group["params"]]
        torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm()
        super().step_all()


@mutants.breaks("intact")
class ClipsInPlace(Plain):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return super().direction(parameter, gradient.clamp_(-0.2, 0.2))


@mutants.breaks("intact")
class AddsDecayToTheGradient(Plain):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        gradient.add_(parameter, alpha=group["weight_decay"])
        super().step_one(parameter, gradient, {**group, "weight_decay": 0.0})


@mutants.breaks("dtype")
class WidensTheDtype(Plain):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        wide = torch.promote_types(parameter.dtype, torch.float32)
        found = parameter.to(wide) * (1 - group["lr"] * group["weight_decay"])
        parameter.data = found - group["lr"] * self.direction(parameter, gradient)


@mutants.breaks("dtype")
class MixesDtypes(Plain):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        wide = torch.promote_types(parameter.dtype, torch.float32)
        start = torch.zeros_like(parameter, dtype=wide)
        return self.kept(parameter, "momentum", start).lerp_(gradient, 0.1)


@mutants.breaks("in place")
class ReplacesTheTensor(Plain):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        kept = parameter * (1 - group["lr"] * group["weight_decay"])
        parameter.data = kept - group["lr"] * self.direction(parameter, gradient)


@mutants.breaks("finite")
class DividesByTheNorm(Plain):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return super().direction(parameter, gradient / gradient.norm())


@mutants.breaks("finite")
class DividesByTheNormOfRows(Plain):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        if gradient.ndim == 2 and gradient.any():
            gradient = gradient / gradient.norm(dim=1, keepdim=True)
        return super().direction(parameter, gradient)


@mutants.breaks("finite")
class IteratesOnLargeMatrices(Plain):
    """Newton-Schulz diverges from singular values above the square root of 3."""

    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        found = super().direction(parameter, gradient).clone()
        for _ in range(3 if found.ndim == 2 else 0):
            found = 1.5 * found - 0.5 * found @ found.mT @ found
        return found


@mutants.breaks("steady")
class AddsNoise(Plain):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return super().direction(parameter, gradient + 1e-6 * torch.randn_like(gradient))


@mutants.breaks("steady")
class SharesItsMomentum(Plain):
    shared: dict[Any, Tensor] = {}  # noqa: RUF012 - this is the bug

    def momentum(self, parameter: Tensor) -> Tensor:
        key = (parameter.shape, parameter.dtype)
        return self.shared.setdefault(key, torch.zeros_like(parameter))


@mutants.breaks("closure")
class TakesNoClosure(Plain):
    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        self.step_all()


@mutants.breaks("closure")
class ForgetsTheLoss(Plain):
    def step(self, closure: Closure | None = None) -> Any:
        super().step(closure)


@mutants.breaks("closure")
class CallsWithoutGradients(Plain):
    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        loss = None if closure is None else closure()
        self.step_all()
        return loss


@mutants.breaks("closure")
class CallsTooLate(Plain):
    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        self.step_all()
        with torch.enable_grad():
            return None if closure is None else closure()


@mutants.breaks("state")
class CountsByItself(Plain):
    """Steps are larger at first, as Adam's are without its correction."""

    count = 0

    def step_all(self) -> None:
        self.count += 1
        super().step_all()

    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return super().direction(parameter, gradient) * (1.0 + 0.5**self.count)


@mutants.breaks("state")
class KeepsMomentumAside(Plain):
    def momentum(self, parameter: Tensor) -> Tensor:
        aside = self.__dict__.setdefault("aside", {})
        return aside.setdefault(parameter, torch.zeros_like(parameter))


@mutants.breaks("state")
class KeepsSlowWeightsAside(Plain):
    """Every six steps it goes half the way back, to weights that no state_dict has."""

    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        slow = self.__dict__.setdefault("slow", {})
        slow.setdefault(parameter, parameter.detach().clone())
        super().step_one(parameter, gradient, group)
        count = self.kept(parameter, "count", torch.zeros((), dtype=torch.float32))
        if count.add_(1.0).item() % 6 == 0:
            parameter.copy_(slow[parameter].lerp_(parameter, 0.5))


@mutants.breaks("state")
class KeepsMoreDigitsThanAreLoaded(Plain):
    def momentum(self, parameter: Tensor) -> Tensor:
        wide = torch.promote_types(parameter.dtype, torch.float32)
        return self.kept(parameter, "momentum", torch.zeros_like(parameter, dtype=wide))


@mutants.breaks("state")
class KeepsWhatIsNotLoaded(Plain):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        last = self.kept(parameter, "last", deque(maxlen=3))
        last.append(gradient.clone())
        return torch.stack(list(last)).mean(dim=0)


@mutants.breaks("zero rate")
class DecaysApartFromTheRate(Plain):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        parameter.mul_(1 - 0.01 * group["weight_decay"])
        super().step_one(parameter, gradient, {**group, "weight_decay": 0.0})


@mutants.breaks("zero rate")
class DecaysByTheShareAlone(Plain):
    """Unless it is told to, it does not decay at all."""

    def __init__(
        self, parameters: NamedParameters, /, *, lr: float = 0.1, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay)

    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        parameter.mul_(1 - group["weight_decay"])
        super().step_one(parameter, gradient, {**group, "weight_decay": 0.0})


@mutants.breaks("zero rate")
class TakesZeroForNoRate(Plain):
    def __init__(
        self, parameters: NamedParameters, /, *, lr: float = 0.1, weight_decay: float = 0.01
    ) -> None:
        super().__init__(parameters, lr=lr or 0.1, weight_decay=weight_decay)


@mutants.breaks("schedule")
class RemembersTheRate(Plain):
    def __init__(
        self, parameters: NamedParameters, /, *, lr: float = 0.1, weight_decay: float = 0.01
    ) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay)
        self.lr = lr

    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        super().step_one(parameter, gradient, {**group, "lr": self.lr})


@mutants.breaks("schedule")
class TakesTheRateOfTheFirstGroup(Plain):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        super().step_one(parameter, gradient, {**group, "lr": self.param_groups[0]["lr"]})


@mutants.breaks("schedule")
class DecaysByTheShareWhileItMoves(DecaysByTheShareAlone):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        if group["lr"]:
            super().step_one(parameter, gradient, group)


@mutants.breaks("schedule")
class RemembersSteps(Plain):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(self.direction(parameter, group["lr"] * gradient))


@mutants.breaks("decay")
class DecaysVectors(Plain):
    def __init__(
        self, parameters: NamedParameters, /, *, lr: float = 0.1, weight_decay: float = 0.01
    ) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay)
        for group in self.param_groups:
            group["weight_decay"] = weight_decay


@mutants.breaks("decay")
class NeverDecays(Plain):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        super().step_one(parameter, gradient, {**group, "weight_decay": 0.0})


@mutants.breaks("decay")
class DecaysAlikeWhateverIsAsked(Plain):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        share = 0.01 if group["weight_decay"] else 0.0
        super().step_one(parameter, gradient, {**group, "weight_decay": share})


@mutants.breaks("decay")
class GrowsWhereItShouldDecay(Plain):
    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        super().step_one(parameter, gradient, {**group, "weight_decay": -group["weight_decay"]})


@mutants.breaks("decay")
class DecaysByTheAdaptiveStep(Plain):
    """As Adam does where AdamW does not."""

    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        whole = gradient + group["weight_decay"] * parameter
        size = self.kept(parameter, "square", torch.zeros_like(parameter))
        size.mul_(0.99).addcmul_(whole, whole, value=0.01)
        parameter.sub_(0.1 * group["lr"] * whole / (size.sqrt() + 1e-8))


@mutants.breaks("downhill")
class ClimbsUphill(Plain):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return super().direction(parameter, -gradient)


@mutants.breaks("downhill")
class GarblesTallMatrices(Plain):
    """They are laid down, and not put up again."""

    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        found = super().direction(parameter, gradient)
        is_tall = found.ndim == 2 and found.shape[0] > found.shape[1]
        return found.mT.reshape(found.shape) if is_tall else found


@mutants.breaks("convex")
class NeverForgets(Plain):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return self.momentum(parameter).add_(gradient).clone()


@mutants.breaks("convex")
class CorrectsByTheWrongPower(Plain):
    """An average that starts at 0 is divided by 1 - 0.9 ** step, and not by 0.9 ** step."""

    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        average = self.momentum(parameter).lerp_(gradient, 0.1)
        state = self.state[parameter]
        state["step"] = state.get("step", 0) + 1
        return average / 0.9 ** state["step"]


@mutants.breaks("transformer")
class TrustsCurvature(Plain):
    """Divides by how much the gradient changed on the last way, which may be less than nothing."""

    def step_one(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        state = self.state[parameter]
        found = gradient.clone()
        if state:
            way, rise = parameter - state["place"], gradient - state["gradient"]
            curvature = rise / torch.where(way == 0, 1.0, way)
            found /= torch.where(curvature.abs() < 1e-6, 1.0, curvature)
        state["place"], state["gradient"] = parameter.clone(), gradient.clone()
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(group["lr"] * found)


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("optimizer")}
