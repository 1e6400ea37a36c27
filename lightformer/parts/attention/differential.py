"""Differential attention."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from lightformer.attention import AttentionContext
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.registry import register
from lightformer.softmax_attention import SoftmaxAttention


@register("attention", "differential")
class DifferentialAttention(SoftmaxAttention):
    """Two heads look at the same values, and what the second gathers is taken from the first.

    A softmax gives every token a little. What both heads give alike is noise, and cancels, as between the two
    wires of a cable. So weights get sparser, which helps to find a fact in a long text.

    `num_heads` counts the softmax maps, two for each pair. A pair's values are twice as wide as a head, so that it
    costs what multi-head attention costs. How much is taken away is learned, from a start that grows with the depth.

    Paper: Ye et al., 2024, arXiv:2410.05258

    Args:
        bias: whether the four projections have a bias
        dropout: probability of dropping a weight of either map
    """

    def __init__(self, dims: Dimensions, /, *, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__(dims, bias=bias, dropout=dropout)
        if dims.num_heads % 2:
            raise ConfigError(
                f"num_heads must be even for attention differential, which pairs them, but is {dims.num_heads}."
            )
        self.start = 0.8 - 0.6 * math.exp(-0.3 * dims.layer)  # the paper counts layers from 1
        # Four vectors, and no matrix, which an optimizer would decay.
        self.first_query, self.first_key = _vector(dims), _vector(dims)
        self.second_query, self.second_key = _vector(dims), _vector(dims)
        self.pair_norm = nn.RMSNorm(2 * dims.head_dim, eps=1e-5)  # of each pair alone

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        maps: list[Tensor] | None = None if context.weights is None else []
        context_of_maps = replace(context, weights=maps)
        wide = _join_pairs(value).repeat_interleave(2, dim=1)  # (batch, heads, key, 2 head_dim)
        gathered = super().attend(query, key, wide, context_of_maps, key_start)
        if context.weights is not None and maps:
            context.weights.append(self._difference(maps[0]))  # (batch, heads / 2, query, key)
        difference = self._difference(gathered.to(self.pair_norm.weight.dtype))
        normed = self.pair_norm(difference) * (1.0 - self.start)
        return _split_pairs(normed).to(value.dtype)  # (batch, heads, query, head_dim)

    def share(self) -> Tensor:
        """Returns lambda: how much of the second map is taken from the first, in at least float32."""
        first = _dot(self.first_query, self.first_key)
        second = _dot(self.second_query, self.second_key)
        return first.exp() - second.exp() + self.start

    def _difference(self, heads: Tensor) -> Tensor:
        """Of each pair, the first less its share of the second: (batch, heads, ...) to half as many."""
        return heads[:, 0::2] - self.share() * heads[:, 1::2]


def _vector(dims: Dimensions) -> nn.Parameter:
    return nn.Parameter(torch.randn(dims.head_dim) * 0.1)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    dtype = torch.promote_types(one.dtype, torch.float32)
    return (one.to(dtype) * other.to(dtype)).sum()


def _join_pairs(heads: Tensor) -> Tensor:
    """From (batch, heads, seq, head_dim) to (batch, heads / 2, seq, 2 head_dim)."""
    return torch.cat((heads[:, 0::2], heads[:, 1::2]), dim=-1)


def _split_pairs(pairs: Tensor) -> Tensor:
    """From (batch, heads / 2, seq, 2 head_dim) to (batch, heads, seq, head_dim)."""
    return torch.stack(pairs.chunk(2, dim=-1), dim=2).flatten(1, 2)
