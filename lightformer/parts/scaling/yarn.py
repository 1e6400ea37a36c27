"""Wavelengths stretched by parts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightformer.checks import check_positive
from lightformer.errors import ConfigError
from lightformer.registry import register
from lightformer.scaling import Scaling, check_factor, check_original_max_seq_len


@register("scaling", "yarn", forms=[{"factor": 4.0, "original_max_seq_len": 100}])
class YarnScaling(Scaling):
    """Leaves wavelengths that turned often in the training, and stretches by the factor those that hardly turned.

    Between the two the share of stretching rises along a ramp. Queries and keys grow a little besides, which keeps
    the softmax as sharp over more tokens. A little training with it is enough.

    As in the authors' code, and not in the formula, the ramp is straight over the number of the dimension.

    Paper: Peng et al., 2023, arXiv:2309.00071

    Args:
        factor: how many times longer than those of the training sequences may be
        original_max_seq_len: longest sequence of the training
        beta_fast: wavelengths with at least so many turns in the longest sequence stay
        beta_slow: wavelengths with at most so many turns in it are stretched in full
        attention_factor: factor of queries and keys; 0.1 log(factor) + 1 by default
    """

    def __init__(
        self,
        *,
        factor: float,
        original_max_seq_len: int,
        beta_fast: float = 32.0,
        beta_slow: float = 1.0,
        attention_factor: float | None = None,
    ) -> None:
        check_factor(factor)
        check_original_max_seq_len(original_max_seq_len)
        check_positive(beta_slow, "beta_slow")
        if beta_fast <= beta_slow:
            raise ConfigError(
                f"beta_fast must be above beta_slow, but {beta_fast} is not above {beta_slow}."
            )
        if attention_factor is None:
            attention_factor = 0.1 * math.log(factor) + 1.0
        check_positive(attention_factor, "attention_factor")
        self.factor, self.original_max_seq_len = factor, original_max_seq_len
        self.beta_fast, self.beta_slow = beta_fast, beta_slow
        self.attention_factor = attention_factor

    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        if rope_theta <= 1:
            raise ConfigError(
                f"With scaling yarn rope_theta must be above 1, so that wavelengths grow, but is {rope_theta}."
            )
        pairs = len(frequencies)

        def pair_of(turns: float) -> float:
            wavelength = self.original_max_seq_len / (2 * math.pi * turns)
            return pairs * math.log(wavelength) / math.log(rope_theta)

        low = max(math.floor(pair_of(self.beta_fast)), 0)
        high = min(math.ceil(pair_of(self.beta_slow)), 2 * pairs - 1)
        pair = torch.arange(pairs, dtype=frequencies.dtype, device=frequencies.device)
        stretched = ((pair - low) / max(high - low, 0.001)).clamp(0.0, 1.0)
        return frequencies * (1.0 - stretched) + frequencies / self.factor * stretched
