"""A constant learning rate."""

from __future__ import annotations

from lightformer.registry import register
from lightformer.schedule import Schedule, check_warmup


@register("schedule", "constant")
class Constant(Schedule):
    """Warm-up, then a constant.

    Formula:
        min(1, (step + 1) / (warmup_steps + 1))

    Args:
        warmup_steps: optimizer steps until the peak
    """

    def __init__(self, total_steps: int, /, *, warmup_steps: int = 0) -> None:
        super().__init__(total_steps)
        check_warmup(warmup_steps)
        self.warmup_steps = warmup_steps

    def factor(self, step: int) -> float:
        return min(1.0, (step + 1) / (self.warmup_steps + 1))
