"""A fall with the inverse square root of the step."""

from __future__ import annotations

import math

from lightformer.registry import register
from lightformer.schedule import Schedule, check_warmup


@register("schedule", "inverse_sqrt")
class InverseSqrt(Schedule):
    """Warm-up, then a fall with the inverse square root of the step, as in the first transformer.

    It has no end: a run may go on for longer than was planned. The warm-up sets the whole curve: at four times
    its length half of the peak is left. A run without one falls from its first step.

    Paper: Vaswani et al., 2017, arXiv:1706.03762

    Formula:
        min((step + 1) ** -0.5, (step + 1) * (warmup_steps + 1) ** -1.5) * sqrt(warmup_steps + 1)

    Args:
        warmup_steps: optimizer steps until the peak
    """

    def __init__(self, total_steps: int, /, *, warmup_steps: int = 0) -> None:
        super().__init__(total_steps)
        check_warmup(warmup_steps)
        self.warmup_steps = warmup_steps

    def factor(self, step: int) -> float:
        risen = (step + 1) / (self.warmup_steps + 1)
        return risen if risen < 1 else 1 / math.sqrt(risen)
