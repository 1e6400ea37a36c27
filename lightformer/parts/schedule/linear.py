"""A linear fall."""

from __future__ import annotations

from lightformer.registry import register
from lightformer.schedule import Schedule, check_final, check_warmup


@register("schedule", "linear")
class Linear(Schedule):
    """Warm-up, then a fall in a straight line until the last step.

    Paper: Devlin et al., 2018, arXiv:1810.04805

    Formula:
        (step + 1) / (warmup_steps + 1)
        if step < warmup_steps
        else 1 - (1 - final) * min(1, (step - warmup_steps) / max(1, total_steps - warmup_steps))

    Args:
        warmup_steps: optimizer steps until the peak
        final: factor that is reached when the last step is done
    """

    def __init__(self, total_steps: int, /, *, warmup_steps: int = 0, final: float = 0.0) -> None:
        super().__init__(total_steps)
        check_warmup(warmup_steps)
        check_final(final)
        self.warmup_steps, self.final = warmup_steps, final

    def factor(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        done = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        return self.final + (1.0 - self.final) * max(0.0, 1.0 - done)
