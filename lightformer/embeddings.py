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
        embedding_size: width of the vectors that are added up
        hidden_size: width of the result; a linear map leads there from another width
        norm: normalises the sum, where there is one
        scale: factor of the token vectors
        dropout: probability of dropping an element of the normalised sum
    """

    def __init__(
        self,
        vocab_size: int,
        num_segments: int,
        embedding_size: int,
        hidden_size: int,
        *,
        norm: Norm | None,
        scale: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(vocab_size, embedding_size)
        self.segment = nn.Embedding(num_segments, embedding_size) if num_segments else None
        self.norm = norm
        self.scale = scale
        self.dropout = nn.Dropout(dropout)
        same = embedding_size == hidden_size
        self.projection = None if same else nn.Linear(embedding_size, hidden_size)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None,
        position_ids: Tensor,
        position: Position,
    ) -> Tensor:
        """From (batch, seq) to (batch, seq, hidden); without `token_type_ids` all is segment 0."""
        if self.segment is None and token_type_ids is not None:
            raise ConfigError(
                "The batch has token_type_ids, but the backbone has no segments; set num_segments to 2."
            )
        try:
            states = self._sum(input_ids, token_type_ids, position_ids, position)
        except IndexError:
            self._explain(input_ids, token_type_ids, position_ids, position)
            raise
        if self.norm is not None:
            states = self.norm(states)
        states = self.dropout(states)
        return states if self.projection is None else self.projection(states)

    def _sum(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None,
        position_ids: Tensor,
        position: Position,
    ) -> Tensor:
        states = self.token(input_ids) * self.scale  # (batch, seq, embedding)
        if self.segment is not None:
            if token_type_ids is None:
                token_type_ids = torch.zeros_like(input_ids)
            states = states + self.segment(token_type_ids)
        placed = position.embed(position_ids)
        return states if placed is None else states + placed.to(states.dtype)

    def _explain(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None,
        position_ids: Tensor,
        position: Position,
    ) -> None:
        """Says which id is out of range. Only asked for when a look-up has failed, as it waits for the device."""
        size = self.token.num_embeddings
        way_out = "use the tokenizer that the model was trained with"
        _check_ids(input_ids, "input_ids", "vocab_size", size, way_out)
        if self.segment is not None and token_type_ids is not None:
            size = self.segment.num_embeddings
            _check_ids(token_type_ids, "token_type_ids", "num_segments", size, "raise num_segments")
        if position.longest is not None:
            way_out = "raise max_seq_len, or choose a position without an end (rope, alibi)"
            _check_ids(position_ids, "position_ids", "max_seq_len", position.longest, way_out)


def _check_ids(ids: Tensor, name: str, limit: str, size: int, way_out: str) -> None:
    if bad := ids[(ids < 0) | (ids >= size)].tolist():
        raise ConfigError(
            f"{name} must be at least 0 and below {limit}, which is {size}, but one is {bad[0]}; {way_out}."
        )
