"""Attention with linear biases."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightformer.dimensions import Dimensions
from lightformer.position import Position
from lightformer.registry import register


@register("position", "alibi")
class AlibiPosition(Position):
    """Lowers a score in proportion to the distance between query and key.

    Each head has its own slope: a steep one looks near, a flat one looks far. A model goes on working beyond
    the length that it was trained with. In an encoder the distance counts to both sides alike.

    Paper: Press et al., 2022, arXiv:2108.12409
    """

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__()
        self.slopes = _slopes(dims.num_heads)  # no buffer: a model that is cast would round them

    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        distance = (query_positions[:, None, :, None] - key_positions[:, None, None, :]).abs()
        slopes = torch.tensor(self.slopes, device=distance.device, dtype=torch.float32)
        return -slopes[:, None, None] * distance  # (batch or 1, heads, query, key)


def _slopes(num_heads: int) -> list[float]:
    """2^(-8/n), 2^(-16/n), ...; where n is no power of two, the authors fill up from the series of 2n."""
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2.0 ** (-8.0 * i / power) for i in range(1, power + 1)]
    finer = [2.0 ** (-4.0 * i / power) for i in range(1, 2 * power + 1, 2)]
    return slopes + finer[: num_heads - power]
