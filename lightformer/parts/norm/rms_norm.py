"""Root mean square normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer.checks import check_eps
from lightformer.norm import Norm
from lightformer.registry import register


@register("norm", "rms_norm")
class RMSNorm(Norm):
    """Divides by the root of the mean square, then scales: a layer norm without the mean.

    Paper: Zhang and Sennrich, 2019, arXiv:1910.07467

    Args:
        eps: added to the mean square
    """

    def __init__(self, size: int, /, *, eps: float = 1e-6) -> None:
        super().__init__()
        check_eps(eps)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, states: Tensor) -> Tensor:
        exact = states.to(self.weight.dtype)  # autocast leaves this to the norm
        return F.rms_norm(exact, self.weight.shape, self.weight, self.eps).to(states.dtype)
