"""Scalings with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lightformer.registry import Spec
from lightformer.scaling import Scaling
from lightformer.testing import promises
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("scaling")


class Linear(Scaling):
    """All wavelengths stretched alike, to be spoilt."""

    def __init__(self, *, factor: float = 4.0) -> None:
        self.factor = factor

    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        return frequencies / self.factor


class ByParts(Scaling):
    """Long wavelengths stretched by the factor, and those between by a part of it, to be spoilt."""

    def __init__(self, *, factor: float = 8.0) -> None:
        self.factor = factor

    def kept(self, turns: Tensor) -> Tensor:
        """How much of a frequency stays that turns so often in 100 tokens."""
        return ((turns - 1.0) / 3.0).clamp(0.0, 1.0)

    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        kept = self.kept(frequencies * (100 / (2 * math.pi)))
        return frequencies * kept + frequencies / self.factor * (1.0 - kept)


@mutants.breaks("runs")
class LosesTheLongestWave(Linear):
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        return super().frequencies(frequencies[:-1], rope_theta)


@mutants.breaks("runs")
class AddsADimension(Linear):
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        return super().frequencies(frequencies[None], rope_theta)


@mutants.breaks("steady")
class WorksInPlace(Linear):
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        return frequencies.div_(self.factor)


@mutants.breaks("steady")
class StretchesMoreEachTime(Linear):
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        self.factor *= 1.01
        return frequencies / self.factor


@mutants.breaks("positive")
class LetsTheRampRunOn(ByParts):
    def kept(self, turns: Tensor) -> Tensor:
        return (turns - 1.0) / 3.0


@mutants.breaks("positive")
class DividesByNothing(ByParts):
    """Both ends of the ramp are where the longest wave turns."""

    def kept(self, turns: Tensor) -> Tensor:
        return ((turns - turns[-1]) / (turns[-1] - turns[-1])).clamp(0.0, 1.0)


@mutants.breaks("stretches")
class Shrinks(Linear):
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        return frequencies * self.factor


@mutants.breaks("stretches")
class KeepsEveryWave(ByParts):
    """Turns are counted in degrees, so that none is rare."""

    def kept(self, turns: Tensor) -> Tensor:
        return super().kept(turns * 1e6)


@mutants.breaks("order")
class StretchesShortWaves(ByParts):
    """The two ends of the ramp are swapped."""

    def kept(self, turns: Tensor) -> Tensor:
        return 1.0 - super().kept(turns)


@mutants.breaks("attention factor")
class TurnsItsSign(Linear):
    def __init__(self, *, factor: float = 4.0) -> None:
        super().__init__(factor=factor)
        self.attention_factor = -0.1 * math.log(factor) - 1.0


@mutants.breaks("attention factor")
class KeepsItsFactorAsATensor(Linear):
    def __init__(self, *, factor: float = 4.0) -> None:
        super().__init__(factor=factor)
        self.attention_factor = torch.tensor(factor).log() * 0.1 + 1.0


@mutants.breaks("factor one")
class StretchesByOneMore(Linear):
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        return frequencies / (1.0 + self.factor)


@mutants.breaks("factor one")
class GrowsWithoutAFactor(Linear):
    def __init__(self, *, factor: float = 4.0) -> None:
        super().__init__(factor=factor)
        self.attention_factor = 0.1 * math.log(1.0 + factor) + 1.0


@mutants.breaks("dtype")
class NarrowsTheDtype(Linear):
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        return super().frequencies(frequencies, rope_theta).float()


@mutants.breaks("dtype")
class TakesPowersThatAreTooSmall(Linear):
    """A mean by twelfth powers, which are 0 for long waves in float32."""

    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        stretched = super().frequencies(frequencies, rope_theta)
        return ((stretched**12 + (frequencies / 2) ** 12) / 2) ** (1 / 12)


@mutants.breaks("rope")
class AppliesTheFactorForEachLayer(Linear):
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        return frequencies / self.factor**12


@mutants.breaks("compiles")
class LooksAtTheLongestWave(Linear):
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        return frequencies if frequencies[-1] > 2 else super().frequencies(frequencies, rope_theta)


@mutants.breaks("device")
class ForgetsTheDevice(Linear):
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        share = torch.linspace(0.0, 1.0, len(frequencies), dtype=frequencies.dtype)
        return frequencies * self.factor**-share


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("scaling")}
