"""The contract of a position encoding, and the namespace of those that are registered.

from lightformer import position
position.rope(rope_theta=10_000.0)
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lightformer.dimensions import Dimensions
from lightformer.registry import Spec, namespace


class Position(nn.Module, ABC):
    """Tells a model where each token stands.

    A position may act on embeddings, on queries and keys, or on scores. Each hook below does nothing; a
    part overrides those through which it acts. Position ids are given explicitly, (batch, seq) or (1, seq)
    where all rows agree: packed documents restart at 0, and a cache goes on.

    A part is built by `part(dims, **options)`.
    """

    longest: int | None = None
    """How many positions there are; None where there is no end."""
    lengthens: bool = False
    """Whether `rotate` also makes queries and keys longer, as a scaling of rope may."""

    def embed(self, position_ids: Tensor) -> Tensor | None:
        """Returns what is added to the embeddings, (batch or 1, seq, hidden). Called once a forward."""
        return None

    def rotate(self, states: Tensor, position_ids: Tensor) -> Tensor:
        """Returns queries or keys, (batch, heads, seq, head_dim), turned by their positions."""
        return states

    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor | None:
        """Returns what is added to the scores, (batch or 1, heads, query, key).

        Called once a forward; the layers that share this position share the result.
        """
        return None

    def content_bias(
        self, query: Tensor, key: Tensor, query_positions: Tensor, key_positions: Tensor
    ) -> Tensor | None:
        """Returns what is added to the scores, (batch, heads, query, key), where it depends on content.

        Args:
            query: (batch, heads, query, head_dim), after `rotate`
            key: (batch, kv_heads, key, head_dim), after `rotate`
            query_positions: (batch or 1, query)
            key_positions: (batch or 1, key)
        """
        return None

    def acts_in_attention(self) -> bool:
        """Whether it acts on queries, keys or scores, and so needs an attention that lets it."""
        return type(self).rotate != Position.rotate or self.acts_on_scores()

    def acts_on_scores(self) -> bool:
        """Whether it adds to the scores of queries and keys, and so needs an attention that has scores."""
        own, none = type(self), Position
        return (own.bias, own.content_bias) != (none.bias, none.content_bias)


class NoPosition(Position):
    """No positions: the model sees a bag of tokens, save for what a causal mask tells it.

    For attentions that bring their own sense of order, and as the zero of a comparison.

    Paper: Haviv et al., 2022, arXiv:2203.16634
    """

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__()


class PositionSpec(Spec, kind="position", builds=Position):
    """How a model knows where a token stands."""

    @abstractmethod
    def __call__(self, dims: Dimensions, /) -> Position: ...


def default_positions(
    seq_len: int,
    start: int,
    is_token: Tensor | None,
    document_ids: Tensor | None,
    device: torch.device,
) -> Tensor:
    """Returns position ids, (batch or 1, seq): 0, 1, 2, ... over the tokens of each document.

    Args:
        seq_len: number of new tokens
        start: number of tokens before them, in a cache
        is_token: (batch, start + seq), False where there is padding, which counts for nothing
        document_ids: (batch, start + seq), where several documents stand in one row
        device: where the result is made
    """
    if document_ids is not None:
        index = torch.arange(start + seq_len, device=device).expand_as(document_ids)
        first = torch.ones_like(document_ids, dtype=torch.bool)
        first[:, 1:] = document_ids[:, 1:] != document_ids[:, :-1]
        ids = index - index.where(first, torch.zeros_like(index)).cummax(dim=1).values
        return ids[:, start:]
    if is_token is not None:
        return (is_token.long().cumsum(dim=1) - 1).clamp(min=0)[:, start:]
    return torch.arange(start, start + seq_len, device=device)[None]


__getattr__ = namespace("position")
