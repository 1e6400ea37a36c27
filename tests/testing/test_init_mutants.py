"""Initialisation schemes with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lightformer.dimensions import Dimensions
from lightformer.init import Init
from lightformer.registry import Spec
from lightformer.testing import promises
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("init")


class Plain(Init):
    """Normal values of one size, to be spoilt."""

    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        weight.normal_(std=0.02)


@mutants.breaks("fills")
class RebindsItsArgument(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        weight = torch.randn_like(weight) * 0.02


@mutants.breaks("fills")
class ScalesWhatIsThere(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        weight.mul_(0.02 / weight.std())


@mutants.breaks("fills")
class LeavesOutEmbeddings(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        if isinstance(module, nn.Linear):
            super().weight(name, module, weight)


@mutants.breaks("fills")
class CountsOnBlocks(Plain):
    """Reads the number of the layer off the name, which the map of a head does not have."""

    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        inside = name.partition("blocks.")[2] or ("0" if "." in name else name)
        super().weight(name, module, weight.div_(1 + int(inside.partition(".")[0])))


@mutants.breaks("in place")
class ReplacesTheParameter(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        module.weight = nn.Parameter(torch.randn_like(weight) * 0.02)


@mutants.breaks("in place")
class FreezesEmbeddings(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        super().weight(name, module, weight)
        weight.requires_grad_("segment" not in name)


@mutants.breaks("biases")
class DrawsBiases(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        super().weight(name, module, weight)

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> None:
        super().__call__(model)
        for module in model.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.normal_(std=0.02)


@mutants.breaks("rest")
class ZeroesAllVectors(Plain):
    """Norms too."""

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> None:
        super().__call__(model)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.zero_()


@mutants.breaks("seed")
class HasAGeneratorOfItsOwn(Plain):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.generator = torch.Generator().manual_seed(0)

    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        weight.normal_(std=0.02, generator=self.generator)


@mutants.breaks("seed")
class HasNoSeed(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        generator = torch.Generator()
        generator.seed()
        weight.normal_(std=0.02, generator=generator)


@mutants.breaks("tied")
class DrawsTwice(Plain):
    @torch.no_grad()
    def __call__(self, model: nn.Module) -> None:
        for name, module in model.named_modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                self.weight(name, module, module.weight)
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.zero_()


@mutants.breaks("varied")
class FillsWithOneNumber(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        if name.endswith("key"):
            nn.init.constant_(weight, 0.02)
        else:
            super().weight(name, module, weight)


@mutants.breaks("varied")
class RepeatsOneRow(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        weight.copy_(torch.randn_like(weight[:1]) * 0.02)


@mutants.breaks("scale")
class ForgetsTheWidth(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        weight.normal_()


@mutants.breaks("scale")
class TakesAVariance(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        weight.normal_(std=0.02**2)


@mutants.breaks("learns")
class StartsScoresAtNothing(Plain):
    """Queries and keys of zero: neither gets a gradient."""

    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        super().weight(name, module, weight)
        if name.endswith(("query", "key")):
            weight.zero_()


@mutants.breaks("learns")
class StartsFeedForwardsAtNothing(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        super().weight(name, module, weight)
        if "feedforward" in name:
            weight.zero_()


@mutants.breaks("dtype")
class StaysInFloat32(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        weight.data = torch.randn(weight.shape) * 0.02


@mutants.breaks("dtype")
class DecomposesInAnyDtype(Plain):
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        nn.init.orthogonal_(weight)


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("init")}
