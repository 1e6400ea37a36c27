"""The contract of an initialisation scheme, and the namespace of those that are registered."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lightformer.dimensions import Dimensions
from lightformer.registry import Spec, namespace


class Init(ABC):
    """Gives the linear maps and the embeddings of a model their first values.

    A part is built by `part(dims, **options)`. Biases start at zero. What else has parameters, as norms
    have, starts them itself.
    """

    def __init__(self, dims: Dimensions, /) -> None:
        self.dims = dims

    @abstractmethod
    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        """Fills `weight` in place.

        Args:
            name: dotted name of the module in the model; `is_residual(name)` tells whether it writes to
                the residual stream
            module: whose weight it is
            weight: (out, in) of a linear map, (entries, width) of an embedding
        """

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> None:
        """Initialises every linear map and embedding of `model`; one that is tied to another, once."""
        seen: set[int] = set()
        for name, module in model.named_modules():
            if isinstance(module, (nn.Linear, nn.Embedding)) and id(module.weight) not in seen:
                seen.add(id(module.weight))
                self.weight(name, module, module.weight)
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.zero_()


def is_residual(name: str) -> bool:
    """Whether the module of that name writes to the residual stream."""
    return name.rpartition(".")[2] == "output"


class InitSpec(Spec, kind="init", builds=Init):
    """Which values the parameters start from."""

    @abstractmethod
    def __call__(self, dims: Dimensions, /) -> Init: ...


__getattr__ = namespace("init")
