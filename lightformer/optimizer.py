"""The contract of an optimizer, and the namespace of those that are registered.

A part is a function or class, called with the parameters by name, that returns a `torch.optim.Optimizer`:

    @register("optimizer", "sgd")
    def sgd(parameters: NamedParameters, /, *, lr: float = 0.1) -> torch.optim.Optimizer: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from lightformer.registry import Spec, namespace

NamedParameters = list[tuple[str, nn.Parameter]]


class OptimizerSpec(Spec, kind="optimizer", builds=torch.optim.Optimizer):
    """Which optimizer trains the model."""

    @abstractmethod
    def __call__(self, parameters: NamedParameters, /) -> torch.optim.Optimizer: ...


class GroupOptimizer(torch.optim.Optimizer, ABC):
    """Base of the optimizers that step each group by itself."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if held := [p for p in group["params"] if p.grad is not None]:
                self.step_group(group, held)
        return loss

    @abstractmethod
    def step_group(self, group: dict[str, Any], held: list[Tensor]) -> None:
        """Changes in place those parameters of a group that have a gradient."""


def decay_groups(parameters: NamedParameters, weight_decay: float) -> list[dict[str, Any]]:
    """Returns parameter groups: matrices, which decay; and vectors (biases, norms), which do not."""
    matrices = [p for _, p in parameters if p.ndim >= 2]
    vectors = [p for _, p in parameters if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def local(tensor: Tensor) -> Tensor:
    """Returns this rank's part of a tensor, in the same memory; all of one that is not divided.

    A rule that treats each number by itself does the same to the parts, and there the fast kernels take it.
    """
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


__getattr__ = namespace("optimizer")
