"""What a model remembers of the tokens that it has read, so that the next one costs one step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lightformer.errors import ConfigError


class LayerCache(ABC):
    """What one attention of one layer remembers. Its form belongs to the attention."""

    @abstractmethod
    def select(self, rows: Tensor) -> None:
        """Keeps the given rows of the batch, in the given order: (new batch,) of row numbers."""


class KeyValueCache(LayerCache):
    """Keys and values, (batch, kv_heads, key, head_dim), all of them or those in a window.

    Args:
        window: how many of the last keys later queries can still see; None for all
    """

    def __init__(self, window: int | None = None) -> None:
        self.window = window
        self.start = 0  # index of the first key that is kept
        self.length = 0
        self.key: Tensor | None = None  # (batch, kv_heads, capacity, head_dim)
        self.value: Tensor | None = None

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, int]:
        """Adds new keys and values.

        Returns:
            The keys and the values that the new tokens' queries may need, and the index of the first.
        """
        new = key.shape[2]
        if self.window is not None:
            self._drop(self.length - (self.window - 1))
        self.key = _put(self.key, key, self.length)
        self.value = _put(self.value, value, self.length)
        self.length += new
        return self.key[:, :, : self.length], self.value[:, :, : self.length], self.start

    def _drop(self, surplus: int) -> None:
        if surplus > 0 and self.key is not None and self.value is not None:
            self.key = self.key[:, :, surplus : self.length]
            self.value = self.value[:, :, surplus : self.length]
            self.start += surplus
            self.length -= surplus

    def select(self, rows: Tensor) -> None:
        if self.key is not None and self.value is not None:
            self.key, self.value = self.key[rows], self.value[rows]


def _put(store: Tensor | None, new: Tensor, length: int) -> Tensor:
    """Writes `new` at `length`; the room doubles when it is full, so that n tokens cost n, not n squared."""
    needed = length + new.shape[2]
    if store is None:
        return new
    if store.shape[2] < needed:
        room = new.new_empty(*new.shape[:2], 2 * needed, new.shape[3])
        room[:, :, :length] = store[:, :, :length]
        store = room
    store[:, :, length:needed] = new
    return store


@dataclass
class Cache:
    """What a backbone remembers: made by `Backbone.new_cache()`, filled by its `forward`.

    Attributes:
        layers: for each layer, the cache of its attention
        cross_layers: for each layer, the cache of its attention to another sequence
        length: tokens read so far, padding included
        position_ids: (batch or 1, length), of the tokens read so far
        is_token: (batch, length), or None where nothing was padding
        document_ids: (batch, length), or None where each row is one document
    """

    layers: list[LayerCache]
    cross_layers: list[LayerCache] = field(default_factory=list)
    length: int = 0
    position_ids: Tensor | None = None
    is_token: Tensor | None = None
    document_ids: Tensor | None = None

    def select(self, rows: Tensor) -> None:
        """Keeps the given rows of the batch, in the given order."""
        for layer in (*self.layers, *self.cross_layers):
            layer.select(rows)
        if self.position_ids is not None and self.position_ids.shape[0] > 1:
            self.position_ids = self.position_ids[rows]
        if self.is_token is not None:
            self.is_token = self.is_token[rows]
        if self.document_ids is not None:
            self.document_ids = self.document_ids[rows]

    def add_tokens(self, is_token: Tensor | None, batch: int, seq_len: int) -> Tensor | None:
        """Returns which of all keys, old and new, are tokens: (batch, length + seq), or None for all.

        `is_token` may cover the new tokens alone, or the old ones too.
        """
        if is_token is not None and is_token.shape[1] == self.length + seq_len:
            return is_token
        some = self.is_token if is_token is None else is_token
        if some is None:
            return None
        device = some.device

        def known(part: Tensor | None, length: int) -> Tensor:
            return (
                part
                if part is not None
                else torch.ones(batch, length, dtype=torch.bool, device=device)
            )

        return torch.cat((known(self.is_token, self.length), known(is_token, seq_len)), dim=1)

    def add_documents(self, document_ids: Tensor | None, seq_len: int) -> Tensor | None:
        """Returns the documents of all tokens, old and new: (batch, length + seq), or None where a row is one.

        Tokens without `document_ids` go on with the last document of their row.
        """
        if self.length == 0:
            return document_ids
        if self.document_ids is None:
            if document_ids is None:
                return None
            raise ConfigError(
                "The tokens in the cache were read without document_ids, so that new ones cannot say which of them are "
                "theirs; give document_ids from the first call on, or leave them out."
            )
        if document_ids is None:
            document_ids = self.document_ids[:, -1:].expand(-1, seq_len)
        return torch.cat((self.document_ids, document_ids), dim=1)
