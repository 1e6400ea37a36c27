"""The rule of Llama 3.1."""

from __future__ import annotations

import math

from torch import Tensor

from lightformer.checks import check_positive
from lightformer.errors import ConfigError
from lightformer.registry import register
from lightformer.scaling import Scaling, check_factor, check_original_max_seq_len


@register("scaling", "llama3", forms=[{"factor": 8.0, "original_max_seq_len": 100}])
class Llama3Scaling(Scaling):
    """Leaves short wavelengths, stretches long ones by the factor, and those between by a part of it.

    Like `yarn`, save that the ramp between is straight over the number of turns, and queries and keys do not grow.

    Paper: Grattafiori et al., 2024, arXiv:2407.21783 (the rule itself stands in the code of Llama 3.1)

    Args:
        factor: how many times longer than those of the training sequences may be
        original_max_seq_len: longest sequence of the training
        low_freq_factor: wavelengths with at most so many turns in the longest sequence are stretched in full
        high_freq_factor: wavelengths with at least so many turns in it stay
    """

    def __init__(
        self,
        *,
        factor: float,
        original_max_seq_len: int,
        low_freq_factor: float = 1.0,
        high_freq_factor: float = 4.0,
    ) -> None:
        check_factor(factor)
        check_original_max_seq_len(original_max_seq_len)
        check_positive(low_freq_factor, "low_freq_factor")
        if high_freq_factor <= low_freq_factor:
            raise ConfigError(
                f"high_freq_factor must be above low_freq_factor, but {high_freq_factor} is not above "
                f"{low_freq_factor}."
            )
        self.factor, self.original_max_seq_len = factor, original_max_seq_len
        self.low_freq_factor, self.high_freq_factor = low_freq_factor, high_freq_factor

    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        turns = frequencies * (self.original_max_seq_len / (2 * math.pi))
        kept = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        kept = kept.clamp(0.0, 1.0)
        return frequencies * kept + frequencies / self.factor * (1.0 - kept)
