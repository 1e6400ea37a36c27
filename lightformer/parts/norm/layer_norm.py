"""Layer normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer.checks import check_eps
from lightformer.norm import Norm
from lightformer.registry import register


@register("norm", "layer_norm")
class LayerNorm(Norm):
    """Subtracts the mean and divides by the standard deviation, then scales and shifts.

    Paper: Ba et al., 2016, arXiv:1607.06450

    Args:
        eps: added to the variance
        bias: whether it shifts
    """

    def __init__(self, size: int, /, *, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__()
        check_eps(eps)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size)) if bias else None

    def forward(self, states: Tensor) -> Tensor:
        return F.layer_norm(states, self.weight.shape, self.weight, self.bias, self.eps)
