"""Who may look at whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lightformer.memo import Made, once

MaskRule = Callable[[Tensor, Tensor], Tensor]
"""From query index (query, 1) and key index (1, key) to bool, broadcastable to (batch, 1, query, key)."""


@dataclass(frozen=True, eq=False)
class AttentionMask:
    """Says by a rule which query may look at which key; all its conditions must hold.

    A kernel that knows a rule reads the fields. Everything else asks for `dense`. An index counts the tokens of
    a row from 0, cached ones and padding included; it is not a position id.

    Attributes:
        is_causal: a query sees only itself and what stands before it
        window: a query sees `window` tokens up to itself where the mask is causal, or `window` tokens to
            either side where it is not
        prefix_lengths: (batch,), so many tokens at the start of a row are no secret of the future: a causal
            mask lets all of the row see them
        is_token: (batch, key), False where a key is padding
        query_documents: (batch, query), with `key_documents`: a query sees the keys of its own document
        key_documents: (batch, key)
        rule: any further condition on (query index, key index)
        query_start: index of the first query: the number of tokens that a cache holds
    """

    is_causal: bool = False
    window: int | None = None
    prefix_lengths: Tensor | None = None
    is_token: Tensor | None = None
    query_documents: Tensor | None = None
    key_documents: Tensor | None = None
    rule: MaskRule | None = None
    query_start: int = 0
    _narrower: Made[AttentionMask] = field(default_factory=list, init=False, repr=False)
    _dense_forms: Made[Tensor] = field(default_factory=list, init=False, repr=False)

    @property
    def is_packed(self) -> bool:
        """Whether a row holds several documents, none of which looks into another."""
        return self.query_documents is not None

    def within(self, window: int | None) -> AttentionMask:
        """Returns this mask, narrowed to a window."""
        if window is None:
            return self
        narrower = window if self.window is None else min(window, self.window)
        return once(self._narrower, window, lambda: replace(self, window=narrower))

    def allows_all(self, query_len: int, key_len: int, key_start: int = 0) -> bool:
        """Whether every query may look at every key, as far as the fields tell without a look at data."""
        return self._is_open() and (
            not self.is_causal or self._is_last(query_len, key_len, key_start)
        )

    def is_plain_causal(self, query_len: int, key_len: int, key_start: int = 0) -> bool:
        """Whether the mask is the lower triangle of a square, and nothing else."""
        square = query_len == key_len and self.query_start == key_start
        return self._is_open() and self.is_causal and self.prefix_lengths is None and square

    def dense(
        self, query_len: int, key_len: int, device: torch.device, key_start: int = 0
    ) -> Tensor | None:
        """Returns bool, True = may attend, broadcastable to (batch, 1, query, key); None where all may.

        Args:
            query_len: number of queries
            key_len: number of keys
            device: where the result is made
            key_start: index of the first key, above 0 where a cache has dropped keys
        """
        if self.allows_all(query_len, key_len, key_start):
            return None
        form = (query_len, key_len, key_start)
        return once(self._dense_forms, form, lambda: self._dense(*form, device))

    def _is_open(self) -> bool:
        conditions = (self.window, self.is_token, self.query_documents, self.rule)
        return all(condition is None for condition in conditions)

    def _is_last(self, query_len: int, key_len: int, key_start: int) -> bool:
        return query_len == 1 and key_start + key_len == self.query_start + 1

    def _dense(self, query_len: int, key_len: int, key_start: int, device: torch.device) -> Tensor:
        queries = slice(self.query_start, self.query_start + query_len)
        keys = slice(key_start, key_start + key_len)
        query = torch.arange(queries.start, queries.stop, device=device)[:, None]  # (query, 1)
        key = torch.arange(keys.start, keys.stop, device=device)[None, :]  # (1, key)
        allowed: list[Tensor] = []
        if self.is_causal:
            causal = key <= query
            if self.prefix_lengths is not None:
                causal = causal | (key < self.prefix_lengths.view(-1, 1, 1, 1))
            allowed.append(causal)
        if self.window is not None:
            farthest = (
                self.window - 1 if self.is_causal else self.window
            )  # causal: itself is one of them
            allowed.append((query - key).abs() <= farthest)
        if self.is_token is not None:
            allowed.append(self.is_token[:, None, None, keys])
        if self.query_documents is not None and self.key_documents is not None:
            own = self.query_documents[:, None, :, None]
            allowed.append(own == self.key_documents[:, None, None, keys])
        if self.rule is not None:
            allowed.append(self.rule(query, key))
        result = allowed[0]
        for condition in allowed[1:]:
            result = result & condition
        return result if result.ndim == 4 else result[None, None]
