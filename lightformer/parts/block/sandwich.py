"""Norms before and after the parts."""

from __future__ import annotations

from torch import Tensor

from lightformer.attention import AttentionContext
from lightformer.block import Block, BlockParts
from lightformer.registry import register


@register("block", "sandwich")
class Sandwich(Block):
    """Each part stands between two norms, and adds to the plain residual: x + norm(f(norm(x))).

    What a part adds can never grow large, which keeps deep models and half precision from overflowing. A last
    norm follows the last block. Gemma 2 is wired so (arXiv:2408.00118).

    Paper: Ding et al., 2021, arXiv:2105.13290
    """

    def __init__(self, parts: BlockParts, /) -> None:
        super().__init__(parts)
        self.attention_norm = parts.new_norm()
        self.attention_output_norm = parts.new_norm()
        if parts.cross_attention is not None:
            self.cross_attention_norm = parts.new_norm()
            self.cross_attention_output_norm = parts.new_norm()
        self.feedforward_norm = parts.new_norm()
        self.feedforward_output_norm = parts.new_norm()

    def forward(
        self,
        hidden_states: Tensor,
        context: AttentionContext,
        cross_context: AttentionContext | None = None,
    ) -> Tensor:
        attended = self.attention(self.attention_norm(hidden_states), context)
        hidden_states = hidden_states + self.dropout(self.attention_output_norm(attended))
        if self.cross_attention is not None and cross_context is not None:
            crossed = self.cross_attention(self.cross_attention_norm(hidden_states), cross_context)
            hidden_states = hidden_states + self.dropout(self.cross_attention_output_norm(crossed))
        changed = self.feedforward(self.feedforward_norm(hidden_states))
        return hidden_states + self.dropout(self.feedforward_output_norm(changed))
