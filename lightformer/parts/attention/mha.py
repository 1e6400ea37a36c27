"""Multi-head attention."""

from __future__ import annotations

from lightformer.dimensions import Dimensions
from lightformer.norm import NormSpec
from lightformer.registry import register
from lightformer.softmax_attention import Gate, SoftmaxAttention


@register(
    "attention",
    "mha",
    forms=[
        {},
        {"qk_norm": "rms_norm"},
        {"softcap": 5.0},
        {"sink": True},
        {"gate": "element"},
        {"gate": "head"},
    ],
)
class MultiHeadAttention(SoftmaxAttention):
    """Every head has its own queries, keys and values.

    The attention of the first transformer, and what the others are compared with.

    Paper: Vaswani et al., 2017, arXiv:1706.03762

    Args:
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
        bias: bool = True,
        dropout: float = 0.0,
        qk_norm: NormSpec | None = None,
        softcap: float | None = None,
        sink: bool = False,
        gate: Gate | None = None,
    ) -> None:
        super().__init__(
            dims,
            bias=bias,
            dropout=dropout,
            qk_norm=qk_norm,
            softcap=softcap,
            sink=sink,
            gate=gate,
        )
