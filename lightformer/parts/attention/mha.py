"""Multi-head attention."""

from __future__ import annotations

from lightformer.dimensions import Dimensions
from lightformer.registry import register
from lightformer.softmax_attention import SoftmaxAttention


@register("attention", "mha")
class MultiHeadAttention(SoftmaxAttention):
    """Every head has its own queries, keys and values.

    The attention of the first transformer, and what the others are compared with.

    Paper: Vaswani et al., 2017, arXiv:1706.03762

    Args:
        bias: whether the four projections have a bias
        dropout: probability of dropping an attention weight
    """

    def __init__(self, dims: Dimensions, /, *, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__(dims, bias=bias, dropout=dropout)
