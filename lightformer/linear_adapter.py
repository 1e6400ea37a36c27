"""What adapters share that add to linear maps: which maps, and how the sum is made and folded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from lightformer.adapter import Adapter
from lightformer.errors import ConfigError
from lightformer.patterns import matching

NAME = "adapter"
"""What the addition is called in the map that it is added to: `...attention.query.adapter`."""


class Addition(nn.Module, ABC):
    """A linear map without a bias, of few parameters, that is added to another one. It starts as zero."""

    handle: Any
    """Takes the addition out of the way of its map; kept here, so that both are copied together."""

    @abstractmethod
    def forward(self, states: Tensor) -> Tensor:
        """From (..., in) to (..., out)."""

    @abstractmethod
    def matrix(self) -> Tensor:
        """Returns the same as a matrix, (out, in), as it is in `eval()`."""


class LinearAdapter(Adapter):
    """Base of the adapters that add to linear maps, which keep their names.

    Args:
        targets: patterns of the names of linear maps, as in a checkpoint, `backbone.` included
    """

    def __init__(self, targets: Sequence[str]) -> None:
        if not targets:
            raise ConfigError(
                "targets must name linear maps to add to, but is empty; leave it out for the default, or leave the "
                "adapter out."
            )
        self.targets = targets

    @abstractmethod
    def addition(self, linear: nn.Linear) -> Addition:
        """Returns what is added to one map, in the dtype and on the device of its weight."""

    def attach(self, backbone: nn.Module) -> None:
        maps = {f"backbone.{name}": linear for name, linear in _linear_maps(backbone)}
        for name in matching(self.targets, maps, "targets", "linear map"):
            addition = self.addition(maps[name])
            addition.handle = maps[name].register_forward_hook(_add)
            maps[name].add_module(NAME, addition)

    @torch.no_grad()
    def merge(self, backbone: nn.Module) -> None:
        for _, linear in list(_linear_maps(backbone)):
            if isinstance(addition := getattr(linear, NAME, None), Addition):
                exact = torch.promote_types(linear.weight.dtype, torch.float32)
                change = addition.to(exact).matrix()
                linear.weight.copy_(linear.weight.to(exact) + change)
                addition.handle.remove()
                delattr(linear, NAME)


def _linear_maps(backbone: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Each linear map once, however many layers share it; those of an addition are left out."""
    inside: set[nn.Module] = set()
    for name, module in backbone.named_modules():
        if isinstance(module, Addition):
            inside |= set(module.modules())
        elif isinstance(module, nn.Linear) and module not in inside:
            yield name, module


def _add(linear: nn.Module, given: tuple[Tensor], result: Tensor) -> Tensor:
    return result + cast(Tensor, getattr(linear, NAME)(given[0]))
