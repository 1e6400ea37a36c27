"""Attention within a window."""

from __future__ import annotations

from lightformer.dimensions import Dimensions
from lightformer.norm import NormSpec
from lightformer.registry import register
from lightformer.softmax_attention import Gate, SoftmaxAttention


@register("attention", "sliding_window", forms=[{"window": 3}, {"window": 2, "num_kv_heads": 2}])
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
        bias: whether the projections have a bias
        dropout: probability of dropping an attention weight
        qk_norm: a norm for each query and each key, before they are rotated; keeps scores from growing without
            bound (Henry et al., 2020, arXiv:2010.04245)
        softcap: bounds the scores by softcap * tanh(score / softcap); this is not in the fused kernel (Gemma 2,
            2024, arXiv:2408.00118)
        sink: whether a head may also look at nothing, whose score is learned (after Xiao et al., 2023,
            arXiv:2309.17453, where a token serves as such)
        gate: whether what is gathered is multiplied by a sigmoid of the input, for each `element` or each `head`
            (Qiu et al., 2025, arXiv:2505.06708)
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
        qk_norm: NormSpec | None = None,
        softcap: float | None = None,
        sink: bool = False,
        gate: Gate | None = None,
    ) -> None:
        super().__init__(
            dims,
            window=window,
            num_kv_heads=num_kv_heads,
            bias=bias,
            dropout=dropout,
            qk_norm=qk_norm,
            softcap=softcap,
            sink=sink,
            gate=gate,
        )
