"""Parts side by side."""

from __future__ import annotations

from torch import Tensor

from lightformer.attention import AttentionContext
from lightformer.block import Block, BlockParts
from lightformer.registry import register


@register("block", "parallel", forms=({}, {"separate_norms": True}))
class Parallel(Block):
    """All parts read the same normalised residual, and add to the plain one: x + f(norm(x)) + g(norm(x)).

    None waits for another, so that large models train faster, at little cost in quality. An attention to
    another sequence is one more of these parts. The wiring of GPT-J; a last norm follows the last block.

    Paper: Chowdhery et al., 2022, arXiv:2204.02311

    Args:
        separate_norms: whether each part has a norm of its own, as in GPT-NeoX (arXiv:2204.06745)
    """

    def __init__(self, parts: BlockParts, /, *, separate_norms: bool = False) -> None:
        super().__init__(parts)
        crosses = parts.cross_attention is not None
        self.attention_norm = parts.new_norm()
        self.cross_attention_norm = parts.new_norm() if separate_norms and crosses else None
        self.feedforward_norm = parts.new_norm() if separate_norms else None

    def forward(
        self,
        hidden_states: Tensor,
        context: AttentionContext,
        cross_context: AttentionContext | None = None,
    ) -> Tensor:
        normed = self.attention_norm(hidden_states)
        added = self.dropout(self.attention(normed, context))
        if self.cross_attention is not None and cross_context is not None:
            own = self.cross_attention_norm
            crossed = self.cross_attention(own(hidden_states) if own else normed, cross_context)
            added = added + self.dropout(crossed)
        own = self.feedforward_norm
        changed = self.feedforward(own(hidden_states) if own else normed)
        return hidden_states + added + self.dropout(changed)
