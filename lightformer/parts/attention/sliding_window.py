"""Attention within a window."""

from __future__ import annotations

from lightformer.dimensions import Dimensions
from lightformer.registry import register
from lightformer.softmax_attention import SoftmaxAttention


@register("attention", "sliding_window")
class SlidingWindowAttention(SoftmaxAttention):
    """Each position looks at its neighbours only.

    These are the last `window` tokens, itself among them, where the model is causal, and `window` tokens
    to either side where it is not.

    Its cache for generation stays as small as the window. Layers above one another see further; in a
    `pattern` with layers that see everything, little is lost.

    Paper: Beltagy et al., 2020, arXiv:2004.05150

    Args:
        window: how many tokens it sees
        num_kv_heads: number of key and value heads, a divisor of the number of heads; all by default
        bias: whether the four projections have a bias
        dropout: probability of dropping an attention weight
    """

    def __init__(
        self,
        dims: Dimensions,
        /,
        *,
        window: int,
        num_kv_heads: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, window=window, num_kv_heads=num_kv_heads, bias=bias, dropout=dropout)
