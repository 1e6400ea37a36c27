"""Grouped-query attention."""

from __future__ import annotations

from lightformer.dimensions import Dimensions
from lightformer.registry import register
from lightformer.softmax_attention import SoftmaxAttention


@register("attention", "gqa")
class GroupedQueryAttention(SoftmaxAttention):
    """Several query heads share one key head and one value head.

    Fewer key and value heads make a smaller cache for generation, at little cost in quality. With
    `num_kv_heads=1` this is multi-query attention (Shazeer, 2019, arXiv:1911.02150).

    Paper: Ainslie et al., 2023, arXiv:2305.13245

    Args:
        num_kv_heads: number of key and value heads, a divisor of the number of heads
        bias: whether the four projections have a bias
        dropout: probability of dropping an attention weight
    """

    def __init__(
        self, dims: Dimensions, /, *, num_kv_heads: int, bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__(dims, num_kv_heads=num_kv_heads, bias=bias, dropout=dropout)
