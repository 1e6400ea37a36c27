"""Talking-heads attention: a worked example of a plugin. See README.md beside this file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer import register
from lightformer.attention import AttentionContext
from lightformer.dimensions import Dimensions
from lightformer.softmax_attention import SoftmaxAttention


@register("attention", "talking_heads")
class TalkingHeadsAttention(SoftmaxAttention):
    """Heads mix their scores before the softmax, and their weights after it.

    Plain heads work side by side and meet only in the output map. Here each head's view is a learned
    mixture of all heads' views, for two small matrices more. Both start as the identity, so that
    training begins at plain multi-head attention. The mixture needs every score at once, which the
    fused kernel does not give, so this is slower on long sequences.

    Paper: Shazeer et al., 2020, arXiv:2003.02436

    Args:
        mix_weights: whether the weights are mixed too, after the softmax
        bias: whether the four projections have a bias
        dropout: probability of dropping an attention weight
    """

    def __init__(
        self,
        dims: Dimensions,
        /,
        *,
        mix_weights: bool = True,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, bias=bias, dropout=dropout)
        self.mix_scores = nn.Parameter(torch.eye(dims.num_heads))  # (to head, from head)
        self.mix_weights = nn.Parameter(torch.eye(dims.num_heads)) if mix_weights else None

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        scores = query @ key.mT * query.shape[-1] ** -0.5  # (batch, heads, query, key)
        bias = context.bias(query, key, key_start)
        if bias is not None:
            scores = scores + bias.to(scores.dtype)
        scores = _mix(self.mix_scores, scores)
        allowed = context.mask.dense(query.shape[2], key.shape[2], query.device, key_start)
        if allowed is not None:  # after mixing: what one head hides, another must not bring back
            scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1)
        if allowed is not None:
            weights = weights * allowed  # a query that may look at nothing gathers nothing
        if self.mix_weights is not None:
            weights = _mix(self.mix_weights, weights)
        if context.weights is not None:
            context.weights.append(weights)
        weights = F.dropout(weights, self.dropout, self.training)
        return weights @ value  # (batch, heads, query, head_dim)


def _mix(matrix: Tensor, heads: Tensor) -> Tensor:
    """Each head becomes a sum of all heads, (batch, heads, query, key)."""
    return torch.einsum("tf,bfqk->btqk", matrix, heads)
