"""An optimizer, and the small transformer that it steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lightformer.backbone import Backbone
from lightformer.optimizer import OptimizerSpec
from lightformer.testing.promise import Figure, trial, truth
from lightformer.testing.sizes import Sizes

DTYPES = (torch.bfloat16, torch.float32, torch.float64)

Tensors = Mapping[str, Tensor]
Gradients = Mapping[str, Tensor | None]


class Run:
    """A module, and an optimizer of its parameters.

    Args:
        module: its parameters are named as in a task, where it is called `backbone`
        spec: of the optimizer
    """

    def __init__(self, module: nn.Module, spec: OptimizerSpec) -> None:
        self.module = module
        self.parameters = {f"backbone.{n}": p for n, p in module.named_parameters()}
        self.optimizer = spec(list(self.parameters.items()))

    def step(self, *gradients: Gradients) -> None:
        """Takes a step by each of several gradients; None is none."""
        for given in gradients:
            for name, parameter in self.parameters.items():
                gradient = given[name]
                parameter.grad = None if gradient is None else gradient.to(parameter.dtype).clone()
            self.optimizer.step()

    def scale(self, *factors: float) -> dict[str, float]:
        """Multiplies the learning rate, as a schedule does, and returns by what it was for each parameter.

        With several factors each group is divided into as many, as it is where each layer has a rate of its own.
        """
        groups, found = [], dict[int, float]()
        for group in self.optimizer.param_groups:
            for number, factor in enumerate(factors):
                if own := group["params"][number :: len(factors)]:
                    groups.append({**group, "params": own, "lr": group["lr"] * factor})
                    found.update((id(parameter), factor) for parameter in own)
        self.optimizer.param_groups = groups
        return {name: found[id(parameter)] for name, parameter in self.parameters.items()}

    def values(self) -> dict[str, Tensor]:
        """Returns what the parameters are now."""
        return {name: p.detach().clone() for name, p in self.parameters.items()}


@trial("optimizer")
@dataclass(frozen=True)
class OptimizerTrial:
    """An optimizer, and the small transformer that it steps."""

    spec: OptimizerSpec
    sizes: Sizes = field(default_factory=Sizes)

    def module(self, dtype: torch.dtype = torch.float64) -> Backbone:
        """A small transformer with the same weights each time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            model = dataclasses.replace(self.sizes, num_layers=1).backbone(is_causal=True)
        return model.to(dtype).train()

    def begin(self, dtype: torch.dtype = torch.float64, **options: Any) -> Run:
        """The small transformer, and an optimizer of it with some of its options changed."""
        return Run(self.module(dtype), self.spec.replace(**options))

    def decays(self, rate: float) -> dict[str, Any]:
        """The option that sets weight decay, if there is one."""
        return {"weight_decay": rate} if self.has("weight_decay") else {}

    def has(self, option: str) -> bool:
        return option in self.spec.options()

    def gradients(self, steps: int) -> list[Tensors]:
        """Random gradients of the small transformer."""
        shapes = {f"backbone.{n}": p.shape for n, p in self.module().named_parameters()}
        return [
            {n: 0.1 * torch.randn(shape, dtype=torch.float64) for n, shape in shapes.items()}
            for _ in range(steps)
        ]


def some(gradients: Tensors, first: int) -> Gradients:
    """Every second gradient; the others are none."""
    return {n: g if i % 2 == first else None for i, (n, g) in enumerate(gradients.items())}


def same_bits(found: Tensors, expected: Tensors) -> Figure:
    """Whether each tensor is what it should be, to the last bit."""
    for name, value in expected.items():
        if not torch.equal(found[name], value):
            gap = (found[name].double() - value.double()).abs().max().item()
            return Figure(math.inf, f"differs by {gap:.1e}", name)
    return truth(True, f"same bits, {len(expected)} parameters")


def moved(found: Tensors, before: Tensors) -> Figure:
    """Whether each tensor is another than before."""
    still = [name for name, value in before.items() if torch.equal(found[name], value)]
    if still:
        return Figure(math.inf, f"{len(still)} of {len(before)} parameters stay", still[0])
    return truth(True, f"{len(before)} parameters")


def named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
