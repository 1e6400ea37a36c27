"""Softmax attention: the fused kernel, and the weights on request."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lightformer.masks import AttentionMask


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: AttentionMask,
    bias: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    key_start: int = 0,
) -> Tensor:
    """Returns softmax(scale * Q K^T + bias, where the mask allows) V, (batch, heads, query, head_dim).

    A query that may look at nothing gets zeros.

    Args:
        query: (batch, heads, query, head_dim)
        key: (batch, kv_heads, key, head_dim); each serves heads / kv_heads query heads in a row
        value: (batch, kv_heads, key, head_dim)
        mask: who may look at whom
        bias: added to the scores, broadcastable to (batch, heads, query, key)
        scale: factor of the scores, 1 / sqrt(head_dim) by default
        dropout: probability of dropping an attention weight
        key_start: index of the first key
    """
    query_len, key_len = query.shape[2], key.shape[2]
    causal = bias is None and mask.is_plain_causal(query_len, key_len, key_start)
    allowed = None if causal else mask.dense(query_len, key_len, query.device, key_start)
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=_join(allowed, bias, query.dtype),
        is_causal=causal,
        scale=scale,
        dropout_p=dropout,
        enable_gqa=key.shape[1] != query.shape[1],
    )


def attention_weights(
    query: Tensor,
    key: Tensor,
    *,
    mask: AttentionMask,
    bias: Tensor | None = None,
    scale: float | None = None,
    key_start: int = 0,
) -> Tensor:
    """Returns the weights that `attend` uses inside its kernel, (batch, heads, query, key)."""
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = query @ key.mT * (scale if scale is not None else query.shape[-1] ** -0.5)
    if bias is not None:
        scores = scores + bias.to(query.dtype)
    allowed = mask.dense(query.shape[2], key.shape[2], query.device, key_start)
    if allowed is None:
        return scores.softmax(dim=-1)
    # Last, so that a row that may look at nothing has no gradient that is not a number.
    return scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1).nan_to_num(0.0)


def _join(allowed: Tensor | None, bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    if bias is None:
        return allowed
    bias = bias.to(dtype)
    return bias if allowed is None else bias.masked_fill(~allowed, -torch.inf)
