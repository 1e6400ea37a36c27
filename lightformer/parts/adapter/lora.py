"""Low-rank adaptation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lightformer.checks import check_dropout, check_positive
from lightformer.linear_adapter import Addition, LinearAdapter
from lightformer.registry import register


@register(
    "adapter",
    "lora",
    forms=[{}, {"rank": 3, "alpha": 5.0, "dropout": 0.3, "targets": ["*"]}],
)
class LoRA(LinearAdapter):
    """Adds to each linear map a product of two thin matrices, which alone learn.

    The second matrix starts at zero, and with it what is added. There is little to store of a task, and little for the
    optimizer to remember; merged, it costs nothing.

    Paper: Hu et al., 2021, arXiv:2106.09685

    Args:
        rank: width between the two matrices
        alpha: what is added is multiplied by alpha / rank
        dropout: probability of dropping an element of what the first matrix reads
        targets: patterns of the names of the linear maps, as in a checkpoint
    """

    def __init__(
        self,
        *,
        rank: int = 8,
        alpha: float = 16.0,
        dropout: float = 0.0,
        targets: tuple[str, ...] = ("*.attention.query", "*.attention.value"),
    ) -> None:
        super().__init__(targets)
        check_positive(rank, "rank")
        check_positive(alpha, "alpha")
        check_dropout(dropout)
        self.rank, self.alpha, self.dropout = rank, alpha, dropout

    def addition(self, linear: nn.Linear) -> Addition:
        return LowRank(linear, self.rank, self.alpha / self.rank, self.dropout)


class LowRank(Addition):
    """A linear map by way of few dimensions.

    Args:
        linear: the map that it is added to
        rank: number of these dimensions
        scale: factor of the result
        dropout: probability of dropping an element of the input
    """

    def __init__(self, linear: nn.Linear, rank: int, scale: float, dropout: float) -> None:
        super().__init__()
        self.scale, self.dropout = scale, nn.Dropout(dropout)
        self.down = nn.Parameter(linear.weight.new_empty(rank, linear.in_features))
        self.up = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))  # as in the authors' code

    def forward(self, states: Tensor) -> Tensor:
        narrow = nn.functional.linear(self.dropout(states), self.down)  # (..., rank)
        return nn.functional.linear(narrow, self.up) * self.scale

    def matrix(self) -> Tensor:
        return torch.matmul(self.up, self.down) * self.scale
