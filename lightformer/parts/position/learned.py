"""Learned positions."""

from __future__ import annotations

from torch import Tensor, nn

from lightformer.dimensions import Dimensions
from lightformer.position import Position
from lightformer.registry import register


@register("position", "learned")
class LearnedPosition(Position):
    """One trained vector for each position, added to the token's embedding.

    The position encoding of BERT and GPT-2. It ends at `max_seq_len`.

    Paper: Gehring et al., 2017, arXiv:1705.03122
    """

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__()
        self.longest = dims.max_seq_len
        self.embedding = nn.Embedding(dims.max_seq_len, dims.hidden_size)

    def embed(self, position_ids: Tensor) -> Tensor:
        return self.embedding(position_ids)  # (batch or 1, seq, hidden)
