"""The contract of a learning-rate schedule, and the namespace of those that are registered."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lightformer.errors import ConfigError
from lightformer.registry import Spec, namespace


class Schedule(ABC):
    """The learning rate as a multiple of the optimizer's, a pure function of the optimizer step.

    A part is built by `part(total_steps, **options)`.
    """

    def __init__(self, total_steps: int, /) -> None:
        self.total_steps = total_steps

    @abstractmethod
    def factor(self, step: int) -> float:
        """Returns the factor for a step, counted from 0."""


class ScheduleSpec(Spec, kind="schedule", builds=Schedule):
    """How the learning rate changes over the steps."""

    @abstractmethod
    def __call__(self, total_steps: int, /) -> Schedule: ...


def check_warmup(warmup_steps: int) -> None:
    """Refuses a warm-up of a negative length.

    Raises:
        ConfigError: it is negative.
    """
    if warmup_steps < 0:
        raise ConfigError(f"warmup_steps must not be negative, but is {warmup_steps}.")


def check_final(final: float) -> None:
    """Refuses to end above the peak, or below 0.

    Raises:
        ConfigError: it is not between 0 and 1.
    """
    if not 0 <= final <= 1:
        raise ConfigError(f"final must be between 0 and 1, but is {final}.")


__getattr__ = namespace("schedule")
