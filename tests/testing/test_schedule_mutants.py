"""Schedules with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from lightformer import schedule
from lightformer.registry import Spec
from lightformer.schedule import Schedule
from lightformer.testing import check, promises
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("schedule")


class Plain(Schedule):
    """Warm-up, then a fall in a straight line, to be spoilt."""

    def __init__(self, total_steps: int, /, *, warmup_steps: int = 0) -> None:
        super().__init__(total_steps)
        self.warmup_steps = warmup_steps

    def rise(self, step: int) -> float:
        return (step + 1) / (self.warmup_steps + 1)

    def done(self, step: int) -> float:
        """The share of the fall that is over."""
        return min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))

    def fall(self, step: int) -> float:
        return 1.0 - self.done(step)

    def factor(self, step: int) -> float:
        return self.rise(step) if step < self.warmup_steps else self.fall(step)


class Cosine(Plain):
    """Warm-up, then a fall along a cosine, to be spoilt."""

    def fall(self, step: int) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * self.done(step)))


@mutants.breaks("runs")
class DividesByNothing(Plain):
    """The warm-up may end with the run."""

    def done(self, step: int) -> float:
        return min(1.0, (step - self.warmup_steps) / (self.total_steps - self.warmup_steps))


@mutants.breaks("runs")
class TakesTheRootOfWhatIsLeft(Plain):
    """Python makes a complex number of it, after the end."""

    def fall(self, step: int) -> float:
        return (1.0 - step / self.total_steps) ** 0.5


@mutants.breaks("runs")
class ReturnsATensor(Plain):
    def fall(self, step: int) -> Any:
        return torch.tensor(super().fall(step))


@mutants.breaks("runs")
class ListsTheRun(Plain):
    def __init__(self, total_steps: int, /, *, warmup_steps: int = 0) -> None:
        super().__init__(total_steps, warmup_steps=warmup_steps)
        self.listed = [Plain.factor(self, step) for step in range(total_steps)]

    def factor(self, step: int) -> float:
        return self.listed[step]


@mutants.breaks("steady")
class CountsItsCalls(Plain):
    calls = -1

    def factor(self, step: int) -> float:
        self.calls += 1
        return super().factor(self.calls)


@mutants.breaks("steady")
class TakesOffFromTheLast(Plain):
    last = 1.0

    def fall(self, step: int) -> float:
        self.last = max(0.0, self.last - 1.0 / self.total_steps)
        return self.last


@mutants.breaks("steady")
class SharesItsLength(Plain):
    """The run that was planned last is taken for this one."""

    length = 0

    def __init__(self, total_steps: int, /, *, warmup_steps: int = 0) -> None:
        super().__init__(total_steps, warmup_steps=warmup_steps)
        type(self).length = total_steps

    def fall(self, step: int) -> float:
        return 1.0 - min(1.0, step / self.length)


@mutants.breaks("floor")
class FallsOn(Plain):
    def fall(self, step: int) -> float:
        left = self.total_steps - step
        return (
            left / max(1, self.total_steps - self.warmup_steps) if left < 0 else super().fall(step)
        )


@mutants.breaks("floor")
class IsNoNumber(Plain):
    def done(self, step: int) -> float:
        length = np.float64(self.total_steps - self.warmup_steps)
        with np.errstate(all="ignore"):
            return float(np.clip((step - self.warmup_steps) / length, 0.0, 1.0))


@mutants.breaks("peak")
class RisesOn(Plain):
    def factor(self, step: int) -> float:
        return self.rise(step)


@mutants.breaks("peak")
class DividesByTooLittle(Plain):
    def rise(self, step: int) -> float:
        return (step + 1) / max(1, self.warmup_steps - 1)


@mutants.breaks("start")
class StartsAtZero(Plain):
    def rise(self, step: int) -> float:
        return step / self.warmup_steps


@mutants.breaks("start")
class WaitsForAStep(Plain):
    """Of a run without a warm-up the first step is lost."""

    def factor(self, step: int) -> float:
        return min(step / max(1, self.warmup_steps), super().factor(step))


@mutants.breaks("above zero")
class EndsOneStepTooSoon(Plain):
    def done(self, step: int) -> float:
        return super().done(step + 1) if step > self.warmup_steps else super().done(step)


@mutants.breaks("above zero")
class FallsFromTheStart(Plain):
    """The fall is as long as it should be, but begins before the warm-up."""

    def done(self, step: int) -> float:
        length = max(1, self.total_steps - self.warmup_steps)
        return min(1.0, step / length) if step > self.warmup_steps else 0.0


@mutants.breaks("warmup")
class HasNoWarmUp(Plain):
    def factor(self, step: int) -> float:
        return max(0.0, 1.0 - step / self.total_steps)


@mutants.breaks("warmup")
class WarmsUpTwiceAsLong(Plain):
    def __init__(self, total_steps: int, /, *, warmup_steps: int = 0) -> None:
        super().__init__(total_steps, warmup_steps=2 * warmup_steps)


@mutants.breaks("warmup")
class WarmsUpForHundredStepsAtMost(Plain):
    def __init__(self, total_steps: int, /, *, warmup_steps: int = 0) -> None:
        super().__init__(total_steps, warmup_steps=min(warmup_steps, 100))


@mutants.breaks("warmup")
class FallsWhileItRises(Plain):
    def factor(self, step: int) -> float:
        left = 1.0 - min(1.0, step / self.total_steps)
        return min(1.0, self.rise(step)) * left if step < self.total_steps else 0.0


@mutants.breaks("warmup")
class WarmsUpByStairs(Plain):
    def rise(self, step: int) -> float:
        return (step // 2 + 1) / (self.warmup_steps // 2 + 1)


@mutants.breaks("end")
class ComesBack(Cosine):
    def done(self, step: int) -> float:
        return (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)


@mutants.breaks("end")
class BeginsAgain(Plain):
    def factor(self, step: int) -> float:
        return super().factor(step % self.total_steps)


@mutants.breaks("formula")
class IsWrittenOtherwise(Cosine):
    """Warm-up, then a fall along a cosine.

    Formula:
        (step + 1) / (warmup_steps + 1)
        if step < warmup_steps
        else 0.5 * (1 + cos(pi * min(1, step / total_steps)))

    Args:
        warmup_steps: optimizer steps until the peak
    """


@mutants.breaks("formula")
class IsNotExplained(Cosine):
    """Warm-up, then a fall along a cosine.

    Formula:
        0.5 * (1 + cos(pi * progress))
    """


@mutants.breaks("formula")
class IsNoExpression(Cosine):
    """Warm-up, then a fall along a cosine.

    Formula:
        half of 1 + cos(pi t)
    """


@mutants.breaks("formula")
class ForgetsAnOption(Plain):
    """Warm-up, then a fall in a straight line.

    Formula:
        (step + 1) / (warmup_steps + 1)
        if step < warmup_steps
        else 1 - (1 - final) * min(1, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    """

    def __init__(self, total_steps: int, /, *, warmup_steps: int = 0, final: float = 0.1) -> None:
        super().__init__(total_steps, warmup_steps=warmup_steps)

    def fall(self, step: int) -> float:
        return 0.1 + 0.9 * super().fall(step)


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_a_run_is_longer_than_the_warm_up_of_the_part() -> None:
    check(schedule.linear(warmup_steps=20_000)).assert_held()


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("schedule")}
