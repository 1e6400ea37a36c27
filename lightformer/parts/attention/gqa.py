"""Grouped-query attention."""

from __future__ import annotations

from lightformer.dimensions import Dimensions
from lightformer.norm import NormSpec
from lightformer.registry import register
from lightformer.softmax_attention import Gate, SoftmaxAttention


@register(
    "attention",
    "gqa",
    forms=[
        {"num_kv_heads": 2},
        {"num_kv_heads": 1},
        {"num_kv_heads": 2, "qk_norm": "rms_norm", "sink": True},
    ],
)
class GroupedQueryAttention(SoftmaxAttention):
    """Several query heads share one key head and one value head.

    Fewer key and value heads make a smaller cache for generation, at little cost in quality. With
    `num_kv_heads=1` this is multi-query attention (Shazeer, 2019, arXiv:1911.02150).

    Paper: Ainslie et al., 2023, arXiv:2305.13245

    Args:
        num_kv_heads: number of key and value heads, a divisor of the number of heads
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
        num_kv_heads: int,
        bias: bool = True,
        dropout: float = 0.0,
        qk_norm: NormSpec | None = None,
        softcap: float | None = None,
        sink: bool = False,
        gate: Gate | None = None,
    ) -> None:
        super().__init__(
            dims,
            num_kv_heads=num_kv_heads,
            bias=bias,
            dropout=dropout,
            qk_norm=qk_norm,
            softcap=softcap,
            sink=sink,
            gate=gate,
        )
