"""The contract of a feed-forward network, and the namespace of those that are registered."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from lightformer.dimensions import Dimensions
from lightformer.registry import Spec, namespace


class FeedForward(nn.Module, ABC):
    """Changes each position on its own.

    A part is built once for each layer by `part(dims, **options)`. By convention the linear map that
    writes to the residual stream is called `output`: initialisation schemes scale it by depth.
    """

    @abstractmethod
    def forward(self, hidden_states: Tensor) -> Tensor:
        """From (batch, seq, hidden) to (batch, seq, hidden)."""


class FeedForwardSpec(Spec, kind="feedforward", builds=FeedForward):
    """Which feed-forward network a block uses."""

    @abstractmethod
    def __call__(self, dims: Dimensions, /) -> FeedForward: ...


__getattr__ = namespace("feedforward")
