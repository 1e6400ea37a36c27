"""Long wavelengths stretched more than short ones."""

from __future__ import annotations

import torch
from torch import Tensor

from lightformer.registry import register
from lightformer.scaling import Scaling, check_factor


@register("scaling", "ntk", forms=[{"factor": 4.0}])
class NTKScaling(Scaling):
    """Leaves the shortest wavelength, stretches the longest by the factor, and those between by a power of it.

    It is the same as a rope_theta that is factor^(d / (d - 2)) times as large, where d dimensions turn. Neighbours
    are told apart as before, so that a model often reads further with no training at all.

    Paper: Peng et al., 2023, arXiv:2309.00071 (section 3.1, after an idea of bloc97)

    Args:
        factor: how many times longer than those of the training sequences may be
    """

    def __init__(self, *, factor: float) -> None:
        check_factor(factor)
        self.factor = factor

    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        last = len(frequencies) - 1
        pair = torch.arange(last + 1, dtype=frequencies.dtype, device=frequencies.device)
        return frequencies * self.factor ** -(pair / max(last, 1))
