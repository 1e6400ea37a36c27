"""The sizes that a model gives to each of its parts.

Shapes are written with these words, here and in every file of the package:

    batch     sequences in a batch            heads     query heads
    seq       tokens in a sequence            kv_heads  key and value heads
    hidden    hidden_size, the residual       head_dim  width of a head
    query, key  positions that look, and positions that are looked at
"""

from __future__ import annotations

from dataclasses import dataclass

from lightformer.errors import ConfigError


@dataclass(frozen=True)
class Dimensions:
    """Sizes of a model, and the layer for which a part is built.

    Args:
        hidden_size: width of the residual stream
        num_heads: number of query heads
        head_dim: width of a head
        intermediate_size: width inside a feed-forward
        num_layers: number of blocks
        max_seq_len: longest sequence that the model is meant for
        layer: number of the block, from 0
    """

    hidden_size: int
    num_heads: int
    head_dim: int
    intermediate_size: int
    num_layers: int
    max_seq_len: int
    layer: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden_size", "num_heads", "head_dim", "intermediate_size", "max_seq_len"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, but is {getattr(self, name)}.")
        if self.num_layers < 0:
            raise ConfigError(f"num_layers must not be negative, but is {self.num_layers}.")
