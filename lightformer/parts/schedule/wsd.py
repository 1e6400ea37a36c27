"""A constant learning rate that falls at the end."""

from __future__ import annotations

import math
from typing import Literal

from lightformer.errors import ConfigError
from lightformer.registry import register
from lightformer.schedule import Schedule, check_final, check_warmup


@register("schedule", "wsd", forms=[{}, {"decay": "linear"}])
class WarmupStableDecay(Schedule):
    """Warm-up, then the peak for most of the run, then a fall until the last step.

    The middle does not depend on the length of the run: a checkpoint of it can go on for longer, or be finished by a
    fall at any time. The fall is a share of the run, as the papers give it, so that it suits a run of any length.
    A warm-up that reaches into it goes first.

    Paper: Hu et al., 2024, arXiv:2404.06395; the forms of the fall: Hägele et al., 2024, arXiv:2405.18392

    Formula:
        (step + 1) / (warmup_steps + 1)
        if step < warmup_steps
        else 1
        if step < (1 - decay_share) * total_steps
        else final + (1 - final) * (
            1 - min(
                1,
                (step - max(warmup_steps, (1 - decay_share) * total_steps))
                / max(1, min(total_steps - warmup_steps, decay_share * total_steps)),
            ) ** (1 if decay == "linear" else 0.5)
        )

    Args:
        warmup_steps: optimizer steps until the peak
        decay_share: share of all steps in which it falls; 0.1 to 0.2 does as well as a cosine
        decay: the form of the fall: linear, or 1-sqrt, which is fast at first and mostly ends with a lower loss
        final: factor that is reached when the last step is done
    """

    def __init__(
        self,
        total_steps: int,
        /,
        *,
        warmup_steps: int = 0,
        decay_share: float = 0.2,
        decay: Literal["linear", "1-sqrt"] = "1-sqrt",
        final: float = 0.0,
    ) -> None:
        super().__init__(total_steps)
        check_warmup(warmup_steps)
        check_final(final)
        if not 0 < decay_share <= 1:
            raise ConfigError(f"decay_share must be above 0 and at most 1, but is {decay_share}.")
        if decay not in ("linear", "1-sqrt"):
            raise ConfigError(f"decay must be linear or 1-sqrt, but is {decay}.")
        self.warmup_steps, self.final = warmup_steps, final
        self.decay_share, self.decay = decay_share, decay

    def factor(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        start = max(self.warmup_steps, (1 - self.decay_share) * self.total_steps)
        done = min(1.0, max(0.0, (step - start) / max(1.0, self.total_steps - start)))
        fallen = done if self.decay == "linear" else math.sqrt(done)
        return self.final + (1.0 - self.final) * (1.0 - fallen)
