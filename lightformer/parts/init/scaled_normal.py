"""Normal values, smaller where a deep residual adds them up."""

from __future__ import annotations

from torch import Tensor, nn

from lightformer.checks import check_positive
from lightformer.dimensions import Dimensions
from lightformer.init import Init, is_residual
from lightformer.registry import register


@register("init", "scaled_normal")
class ScaledNormalInit(Init):
    """Normal values, smaller for the maps that write to the residual, as in GPT-2.

    These are divided by the root of their number, so that the residual of a deep model starts no larger
    than that of a shallow one.

    Paper: Radford et al., 2019, Language Models are Unsupervised Multitask Learners

    Args:
        std: standard deviation
    """

    def __init__(self, dims: Dimensions, /, *, std: float = 0.02) -> None:
        super().__init__(dims)
        check_positive(std, "std")
        self.std = std

    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        writers = max(1, 2 * self.dims.num_layers)
        nn.init.normal_(weight, std=self.std / writers**0.5 if is_residual(name) else self.std)
