"""Sinusoidal positions."""

from __future__ import annotations

import torch
from torch import Tensor

from lightformer.checks import check_positive
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import Position
from lightformer.registry import register


@register("position", "sinusoidal")
class SinusoidalPosition(Position):
    """Adds sines and cosines of the position, at falling frequencies.

    Sines stand in the even dimensions, cosines in the odd ones.
    Nothing is learned and there is no longest sequence. The waves are of size 1: embeddings want a similar
    size, see `scale_embeddings`.

    Paper: Vaswani et al., 2017, arXiv:1706.03762

    Args:
        base: the longest wave is 2 pi times this many positions long
    """

    def __init__(self, dims: Dimensions, /, *, base: float = 10_000.0) -> None:
        super().__init__()
        if dims.hidden_size % 2:
            raise ConfigError(
                f"hidden_size must be even to hold pairs of sine and cosine, but is {dims.hidden_size}."
            )
        check_positive(base, "base")
        self.hidden_size, self.base = dims.hidden_size, base

    def embed(self, position_ids: Tensor) -> Tensor:
        # No buffer: a model cast to bfloat16 would round the angles to whole turns.
        even = torch.arange(0, self.hidden_size, 2, dtype=torch.float32, device=position_ids.device)
        frequencies = self.base ** -(even / self.hidden_size)  # (hidden / 2)
        angles = position_ids[..., None] * frequencies  # (batch or 1, seq, hidden / 2)
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)
