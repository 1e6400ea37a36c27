"""All wavelengths stretched alike."""

from __future__ import annotations

from torch import Tensor

from lightformer.registry import register
from lightformer.scaling import Scaling, check_factor


@register("scaling", "linear", forms=[{"factor": 4.0}])
class LinearScaling(Scaling):
    """Stretches every wavelength by the factor: positions are squeezed into those of the training.

    Also called position interpolation. Neighbours come to look alike, so that a model wants some training with it.

    Paper: Chen et al., 2023, arXiv:2306.15595

    Args:
        factor: how many times longer than those of the training sequences may be
    """

    def __init__(self, *, factor: float) -> None:
        check_factor(factor)
        self.factor = factor

    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        return frequencies / self.factor
