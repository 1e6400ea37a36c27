"""Norms after the parts."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from lightformer.attention import AttentionContext
from lightformer.block import Block, BlockParts
from lightformer.norm import Norm
from lightformer.registry import register


@register("block", "post_norm")
class PostNorm(Block):
    """The residual is normalised after each part: norm(x + f(x)).

    The wiring of the first transformer and of BERT; it wants a warm-up.

    Paper: Vaswani et al., 2017, arXiv:1706.03762
    """

    def __init__(self, parts: BlockParts, /) -> None:
        super().__init__(parts)
        self.attention_norm = parts.new_norm()
        if parts.cross_attention is not None:
            self.cross_attention_norm = parts.new_norm()
        self.feedforward_norm = parts.new_norm()

    def forward(
        self,
        hidden_states: Tensor,
        context: AttentionContext,
        cross_context: AttentionContext | None = None,
    ) -> Tensor:
        attended = self.attention(hidden_states, context)
        hidden_states = self.attention_norm(hidden_states + self.dropout(attended))
        if self.cross_attention is not None and cross_context is not None:
            crossed = self.cross_attention(hidden_states, cross_context)
            hidden_states = self.cross_attention_norm(hidden_states + self.dropout(crossed))
        changed = self.feedforward(hidden_states)
        return self.feedforward_norm(hidden_states + self.dropout(changed))

    def final_norm(self, new_norm: Callable[[], Norm]) -> nn.Module:
        return nn.Identity()
