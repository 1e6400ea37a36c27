"""The contract of a normalisation, and the namespace of those that are registered."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from lightformer.registry import Spec, namespace


class Norm(nn.Module, ABC):
    """Brings vectors to a common scale. A part is built by `part(size, **options)`, size being their width."""

    @abstractmethod
    def forward(self, states: Tensor) -> Tensor:
        """From (..., size) to (..., size)."""


class NormSpec(Spec, kind="norm", builds=Norm):
    """Which normalisation stands around the parts of a block."""

    @abstractmethod
    def __call__(self, size: int, /) -> Norm: ...


__getattr__ = namespace("norm")
