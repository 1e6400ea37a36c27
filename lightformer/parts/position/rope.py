"""Rotary positions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lightformer.checks import check_positive
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import Position
from lightformer.registry import register
from lightformer.scaling import ScalingSpec


@register(
    "position",
    "rope",
    forms=[
        {},
        {"pairs": "interleaved"},
        {"partial": 0.4},
        {"scaling": {"name": "yarn", "factor": 4.0, "original_max_seq_len": 100}},
    ],
)
class RotaryPosition(Position):
    """Rotates queries and keys by an angle that grows with their position.

    The score of a query and a key then depends on how far apart they stand, and not on where.

    Paper: Su et al., 2021, arXiv:2104.09864

    Args:
        rope_theta: base of the wavelengths; a larger one suits longer sequences
        pairs: which dimensions turn together: `half` is i with i + head_dim / 2 (GPT-NeoX, Llama),
            `interleaved` is each even one with the next (the paper); weights fit one of the two alone
        partial: share of a head's dimensions that turns, from the first on
        scaling: how wavelengths are stretched, for sequences longer than those of the training
    """

    def __init__(
        self,
        dims: Dimensions,
        /,
        *,
        rope_theta: float = 10_000.0,
        pairs: Literal["half", "interleaved"] = "half",
        partial: float = 1.0,
        scaling: ScalingSpec | None = None,
    ) -> None:
        super().__init__()
        turning = int(dims.head_dim * partial)
        if not 0.0 < partial <= 1.0 or turning < 2 or turning % 2:
            raise ConfigError(
                f"An even number of a head's dimensions must turn, but partial={partial} of head_dim "
                f"{dims.head_dim} is {turning}."
            )
        check_positive(rope_theta, "rope_theta")
        self.rope_theta, self.pairs, self.turning = rope_theta, pairs, turning
        self.scaling = None if scaling is None else scaling()
        self.lengthens = self.scaling is not None and self.scaling.attention_factor != 1.0
        self.frequencies(torch.float32, torch.device("cpu"))  # what scaling refuses, it refuses now

    def frequencies(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Returns by how much each pair of dimensions turns from one position to the next, (turning / 2,)."""
        # No buffer: a model cast to bfloat16 would round the angles to whole turns.
        pair = torch.arange(0, self.turning, 2, dtype=dtype, device=device)
        frequencies = self.rope_theta ** -(pair / self.turning)
        if self.scaling is None:
            return frequencies
        return self.scaling.frequencies(frequencies, self.rope_theta)

    def rotate(self, states: Tensor, position_ids: Tensor) -> Tensor:
        dtype = torch.promote_types(states.dtype, torch.float32)
        frequencies = self.frequencies(dtype, states.device)
        angles = position_ids[:, None, :, None] * frequencies  # (batch or 1, 1, seq, turning / 2)
        cos, sin = angles.cos(), angles.sin()
        if self.scaling is not None:
            size = self.scaling.attention_factor
            cos, sin = cos * size, sin * size
        cos, sin = cos.to(states.dtype), sin.to(states.dtype)
        turning, still = states[..., : self.turning], states[..., self.turning :]
        if self.pairs == "half":
            first, second = turning.chunk(2, dim=-1)
        else:
            first, second = turning[..., 0::2], turning[..., 1::2]
        turned = (first * cos - second * sin, first * sin + second * cos)
        if self.pairs == "half":
            return torch.cat((*turned, still), dim=-1)
        return torch.cat((torch.stack(turned, dim=-1).flatten(-2), still), dim=-1)
