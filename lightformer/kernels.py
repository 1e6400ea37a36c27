"""Softmax attention: the fused kernel, and the weights on request."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lightformer.masks import AttentionMask


@dataclass(frozen=True, eq=False)
class Scores:
    """What happens to scale * Q K^T before and in the softmax.

    Attributes:
        mask: who may look at whom
        bias: added to the scores, broadcastable to (batch, heads, query, key)
        scale: factor of the dot products, 1 / sqrt(head_dim) by default
        softcap: bounds the scores by softcap * tanh(score / softcap), before the mask
        sink: (heads,), the score of looking at nothing: its share of the weights is lost
        key_start: index of the first key
    """

    mask: AttentionMask
    bias: Tensor | None = None
    scale: float | None = None
    softcap: float | None = None
    sink: Tensor | None = None
    key_start: int = 0

    def scale_of(self, query: Tensor) -> float:
        return query.shape[-1] ** -0.5 if self.scale is None else self.scale


def attend(
    query: Tensor, key: Tensor, value: Tensor, scores: Scores, *, dropout: float = 0.0
) -> Tensor:
    """Returns softmax(scores) V, (batch, heads, query, width of a value).

    A query that may look at nothing gets zeros. All but `softcap` runs in the fused kernel.

    Args:
        query: (batch, heads, query, head_dim)
        key: (batch, kv_heads, key, head_dim); each serves heads / kv_heads query heads in a row
        value: (batch, kv_heads, key, any width)
        scores: mask, bias, and what else makes the weights
        dropout: probability of dropping an attention weight
    """
    if scores.softcap is not None:
        weights = F.dropout(attention_weights(query, key, scores), dropout)
        return weights @ _for_each_query_head(value, query)
    query_len, key_len, mask = query.shape[2], key.shape[2], scores.mask
    plain = scores.bias is None and scores.sink is None
    causal = plain and mask.is_plain_causal(query_len, key_len, scores.key_start)
    allowed = None if causal else mask.dense(query_len, key_len, query.device, scores.key_start)
    joined = _join(allowed, scores.bias, query.dtype)
    scale, width = scores.scale_of(query), value.shape[-1]
    if (missing := width - key.shape[-1]) > 0:  # the fused kernels of a CPU want one width
        query, key = F.pad(query, (0, missing)), F.pad(key, (0, missing))
    if scores.sink is not None:
        query, key, value, joined = _with_sink(query, key, value, joined, scores.sink / scale)
    attended = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=joined,
        is_causal=causal,
        scale=scale,
        dropout_p=dropout,
        enable_gqa=key.shape[1] != query.shape[1],
    )
    return attended[..., :width]


def attention_weights(query: Tensor, key: Tensor, scores: Scores) -> Tensor:
    """Returns the weights that `attend` uses inside its kernel, (batch, heads, query, key)."""
    key = _for_each_query_head(key, query)
    values = query @ key.mT * scores.scale_of(query)  # (batch, heads, query, key)
    if scores.bias is not None:
        values = values + scores.bias.to(query.dtype)
    if scores.softcap is not None:
        values = scores.softcap * (values / scores.softcap).tanh()
    key_len = key.shape[2]
    allowed = scores.mask.dense(query.shape[2], key_len, query.device, scores.key_start)
    if allowed is not None:
        # Last, so that a row that may look at nothing has no gradient that is not a number.
        values = values.masked_fill(~allowed, -torch.inf)
    if scores.sink is not None:
        nothing = scores.sink.to(values.dtype)[:, None, None].expand(*values.shape[:3], 1)
        return torch.cat((values, nothing), dim=-1).softmax(dim=-1)[..., :key_len]
    weights = values.softmax(dim=-1)
    return weights if allowed is None else weights.nan_to_num(0.0)


def _for_each_query_head(states: Tensor, query: Tensor) -> Tensor:
    """Keys or values, (batch, kv_heads, key, width), repeated to (batch, heads, key, width)."""
    return states.repeat_interleave(query.shape[1] // states.shape[1], dim=1)


def _join(allowed: Tensor | None, bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    if bias is None:
        return allowed
    bias = bias.to(dtype)
    if allowed is None:
        return bias
    # The kernels give zeros to a row of infinities, but the softmax of an exported graph none that is a number.
    hidden = torch.finfo(dtype).min if torch.compiler.is_exporting() else -torch.inf
    return bias.masked_fill(~allowed, hidden)


def _with_sink(
    query: Tensor, key: Tensor, value: Tensor, joined: Tensor | None, sink: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """One more key, whose value is zero and whose product with every query of a head is `sink`.

    The score comes by way of one more dimension of queries and keys, and not by a bias: that would need a mask
    for each head, and the fused kernels of a CPU give a mask no gradient.
    """
    score = sink.to(query.dtype)[:, None, None].expand(*query.shape[:3], 1)
    query = torch.cat((query, score), dim=-1)  # (batch, heads, query, head_dim + 1)
    key = F.pad(key, (0, 1, 0, 1))  # (batch, kv_heads, key + 1, head_dim + 1)
    key[:, :, -1, -1] = 1.0
    value = F.pad(value, (0, max(0, key.shape[-1] - value.shape[-1]), 0, 1))
    if joined is None:
        return query, key, value, None
    seen = joined.dtype == torch.bool
    return query, key, value, F.pad(joined, (0, 1), value=True if seen else 0.0)
