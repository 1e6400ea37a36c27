"""A squashing instead of a normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightformer.checks import check_positive
from lightformer.norm import Norm
from lightformer.registry import register


@register("norm", "dyt")
class DynamicTanh(Norm):
    """Squashes each number by itself, then scales and shifts: weight * tanh(alpha * x) + bias.

    A norm mostly passes small numbers on and holds large ones back; so does this, without a mean or a variance of
    the vector. One alpha is learned for all dimensions.

    Paper: Zhu et al., 2025, arXiv:2503.10622

    Args:
        alpha: where alpha starts; wide language models want less
    """

    def __init__(self, size: int, /, *, alpha: float = 0.5) -> None:
        super().__init__()
        check_positive(alpha, "alpha")
        self.alpha = nn.Parameter(torch.full((1,), alpha))  # FSDP wants a dimension to divide
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, states: Tensor) -> Tensor:
        return self.weight * torch.tanh(self.alpha * states) + self.bias
