"""What every softmax attention shares: projections, rotation, cache, kernel."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lightformer.attention import Attention, AttentionContext
from lightformer.cache import KeyValueCache
from lightformer.checks import check_dropout, check_positive
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.kernels import Scores, attend, attention_weights
from lightformer.norm import NormSpec
from lightformer.position import Position

Gate = Literal["element", "head"]


class SoftmaxAttention(Attention):
    """Base of the attentions whose weights are a softmax of scaled dot products.

    A part that differs in how weights are made overrides `attend` alone; see `plugins/talking_heads.py`.

    Args:
        dims: sizes of the model
        num_kv_heads: number of key and value heads, a divisor of the number of heads; all by default
        window: how far a query sees, see `AttentionMask.window`
        bias: whether the projections have a bias
        dropout: probability of dropping an attention weight
        qk_norm: normalises each query and each key
        softcap: bounds the scores by softcap * tanh(score / softcap)
        sink: whether each head may look at nothing, with a learned score for it
        gate: multiplies what the heads have gathered by the sigmoid of a linear map of their input
    """

    def __init__(
        self,
        dims: Dimensions,
        /,
        *,
        num_kv_heads: int | None = None,
        window: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        qk_norm: NormSpec | None = None,
        softcap: float | None = None,
        sink: bool = False,
        gate: Gate | None = None,
    ) -> None:
        super().__init__()
        num_kv_heads = dims.num_heads if num_kv_heads is None else num_kv_heads
        if num_kv_heads < 1 or dims.num_heads % num_kv_heads:
            raise ConfigError(
                f"num_heads must be a multiple of num_kv_heads, but {dims.num_heads} is not one of "
                f"{num_kv_heads}."
            )
        if window is not None and window < 1:
            raise ConfigError(f"window must be at least 1 token, but is {window}.")
        if softcap is not None:
            check_positive(softcap, "softcap")
        check_dropout(dropout)
        self.num_heads, self.num_kv_heads = dims.num_heads, num_kv_heads
        self.window, self.dropout, self.softcap = window, dropout, softcap
        self.query = nn.Linear(dims.hidden_size, dims.num_heads * dims.head_dim, bias)
        self.key = nn.Linear(dims.hidden_size, num_kv_heads * dims.head_dim, bias)
        self.value = nn.Linear(dims.hidden_size, num_kv_heads * dims.head_dim, bias)
        self.output = nn.Linear(dims.num_heads * dims.head_dim, dims.hidden_size, bias)
        self.query_norm = None if qk_norm is None else qk_norm(dims.head_dim)
        self.key_norm = None if qk_norm is None else qk_norm(dims.head_dim)
        self.sink = nn.Parameter(torch.zeros(dims.num_heads)) if sink else None
        width = {"element": dims.num_heads * dims.head_dim, "head": dims.num_heads}
        self.gate = None if gate is None else nn.Linear(dims.hidden_size, width[gate], bias)

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        query = _split(self.query(hidden_states), self.num_heads)
        if self.query_norm is not None:
            query = self.query_norm(query)
        query = context.position.rotate(query, context.query_positions)
        key, value, key_start = self._keys_and_values(hidden_states, context)
        attended = self.attend(query, key, value, context, key_start)
        if self.gate is not None:
            attended = attended * _split(self.gate(hidden_states).sigmoid(), self.num_heads)
        return self.output(attended.transpose(1, 2).flatten(2))  # (batch, query, hidden)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        """Returns what each query gathers, (batch, heads, query, head_dim).

        Args:
            query: (batch, heads, query, head_dim)
            key: (batch, kv_heads, key, head_dim)
            value: (batch, kv_heads, key, head_dim)
            context: mask and positions
            key_start: index of the first key
        """
        own_sequence = context.memory is None  # a window counts in one sequence, not across two
        mask = context.mask.within(self.window if own_sequence else None)
        scores = Scores(
            mask=mask,
            bias=context.bias(query, key, key_start),
            softcap=self.softcap,
            sink=self.sink,
            key_start=key_start,
        )
        if context.weights is not None:
            context.weights.append(attention_weights(query, key, scores))
        return attend(query, key, value, scores, dropout=self.dropout if self.training else 0.0)

    def check_position(self, position: Position) -> None:
        """Every position can act on dot products."""

    def new_cache(self) -> KeyValueCache:
        return KeyValueCache(self.window)

    def _keys_and_values(
        self, hidden_states: Tensor, context: AttentionContext
    ) -> tuple[Tensor, Tensor, int]:
        """Keys and values, (batch, kv_heads, key, head_dim), old ones included; index of the first."""
        cache = context.cache
        if context.memory is not None and isinstance(cache, KeyValueCache) and cache.length:
            assert cache.key is not None
            assert cache.value is not None
            return cache.key, cache.value, 0  # the other sequence has been read already
        source = hidden_states if context.memory is None else context.memory
        key = _split(self.key(source), self.num_kv_heads)
        value = _split(self.value(source), self.num_kv_heads)
        own = context.query_positions if context.memory is None else context.key_positions
        if self.key_norm is not None:
            key = self.key_norm(key)
        key = context.position.rotate(key, own)
        if isinstance(cache, KeyValueCache):
            return cache.append(key, value)
        return key, value, 0


def _split(states: Tensor, num_heads: int) -> Tensor:
    """From (batch, seq, heads * head_dim) to (batch, heads, seq, head_dim)."""
    batch, seq_len, _ = states.shape
    return states.view(batch, seq_len, num_heads, -1).transpose(1, 2)
