"""Norms before the parts."""

from __future__ import annotations

from torch import Tensor, nn

from lightformer.attention import AttentionContext
from lightformer.block import Block, BlockParts
from lightformer.registry import register


@register("block", "pre_norm", forms=[{}, {"first_norm": False}])
class PreNorm(Block):
    """Each part reads a normalised residual and adds to the plain one: x + f(norm(x)).

    Trains without a warm-up and at any depth; a last norm follows the last block.

    Paper: Xiong et al., 2020, arXiv:2002.04745

    Args:
        first_norm: whether the attention of the first layer reads normalised vectors too, which it need not where
            norm_embeddings has just normalised them (ModernBERT, arXiv:2412.13663)
    """

    def __init__(self, parts: BlockParts, /, *, first_norm: bool = True) -> None:
        super().__init__(parts)
        normed = first_norm or parts.layer > 0
        self.attention_norm: nn.Module = parts.new_norm() if normed else nn.Identity()
        if parts.cross_attention is not None:
            self.cross_attention_norm = parts.new_norm()
        self.feedforward_norm = parts.new_norm()

    def forward(
        self,
        hidden_states: Tensor,
        context: AttentionContext,
        cross_context: AttentionContext | None = None,
    ) -> Tensor:
        attended = self.attention(self.attention_norm(hidden_states), context)
        hidden_states = hidden_states + self.dropout(attended)
        if self.cross_attention is not None and cross_context is not None:
            crossed = self.cross_attention(self.cross_attention_norm(hidden_states), cross_context)
            hidden_states = hidden_states + self.dropout(crossed)
        changed = self.feedforward(self.feedforward_norm(hidden_states))
        return hidden_states + self.dropout(changed)
