"""Normal values of one size."""

from __future__ import annotations

from torch import Tensor, nn

from lightformer.checks import check_positive
from lightformer.dimensions import Dimensions
from lightformer.init import Init
from lightformer.registry import register


@register("init", "normal")
class NormalInit(Init):
    """Normal values of one size for every weight, as in BERT.

    Paper: Devlin et al., 2018, arXiv:1810.04805

    Args:
        std: standard deviation
    """

    def __init__(self, dims: Dimensions, /, *, std: float = 0.02) -> None:
        super().__init__(dims)
        check_positive(std, "std")
        self.std = std

    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        nn.init.normal_(weight, std=self.std)
