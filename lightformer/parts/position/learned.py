"""Learned positions."""

from __future__ import annotations

from torch import Tensor, nn

from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import Position
from lightformer.registry import register

MOST_UNUSED = 100_000


@register("position", "learned")
class LearnedPosition(Position):
    """One trained vector for each position, added to the token's embedding.

    The position encoding of BERT and GPT-2. It ends at `max_seq_len`.

    Paper: Gehring et al., 2017, arXiv:1705.03122

    Args:
        offset: number of vectors before that of the first position, which are of no use (RoBERTa has 2)
    """

    def __init__(self, dims: Dimensions, /, *, offset: int = 0) -> None:
        super().__init__()
        if not 0 <= offset <= MOST_UNUSED:
            raise ConfigError(
                f"offset must be from 0 to {MOST_UNUSED:,}, as it counts vectors of no use, but is {offset}."
            )
        self.longest, self.offset = dims.max_seq_len, offset
        self.embedding = nn.Embedding(dims.max_seq_len + offset, dims.hidden_size)

    def embed(self, position_ids: Tensor) -> Tensor:
        return self.embedding(position_ids + self.offset)  # (batch or 1, seq, hidden)
