"""From token ids to the vectors that enter the first block."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightformer.errors import ConfigError
from lightformer.norm import Norm
from lightformer.position import Position


class Embeddings(nn.Module):
    """Token, segment and position, added up.

    Args:
        vocab_size: number of token ids
        num_segments: number of token types; 0 for none
        hidden_size: width of the result
        norm: normalises the sum, where there is one
        scale: factor of the token vectors
        dropout: probability of dropping an element of the result
    """

    def __init__(
        self,
        vocab_size: int,
        num_segments: int,
        hidden_size: int,
        *,
        norm: Norm | None,
        scale: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(vocab_size, hidden_size)
        self.segment = nn.Embedding(num_segments, hidden_size) if num_segments else None
        self.norm = norm
        self.scale = scale
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None,
        position_ids: Tensor,
        position: Position,
    ) -> Tensor:
        """From (batch, seq) to (batch, seq, hidden); without `token_type_ids` all is segment 0."""
        states = self.token(input_ids) * self.scale  # (batch, seq, hidden)
        if self.segment is not None:
            if token_type_ids is None:
                token_type_ids = torch.zeros_like(input_ids)
            states = states + self.segment(token_type_ids)
        elif token_type_ids is not None:
            raise ConfigError(
                "The batch has token_type_ids, but the backbone has no segments; set num_segments to 2."
            )
        placed = position.embed(position_ids)
        if placed is not None:
            states = states + placed.to(states.dtype)
        if self.norm is not None:
            states = self.norm(states)
        return self.dropout(states)
