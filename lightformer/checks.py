"""Checks of options, each with its sentence."""

from __future__ import annotations

from lightformer.errors import ConfigError


def check_dropout(value: float, name: str = "dropout") -> None:
    """Refuses what is no probability of dropping something.

    Raises:
        ConfigError: it is below 0, or 1 or more.
    """
    if not 0.0 <= value < 1.0:
        raise ConfigError(f"{name} must be at least 0 and below 1, but is {value}.")


def check_positive(value: float, name: str) -> None:
    """Refuses what is not above 0.

    Raises:
        ConfigError: it is 0, negative or no number.
    """
    if not value > 0:
        raise ConfigError(f"{name} must be above 0, but is {value}.")


def check_not_negative(value: float, name: str) -> None:
    """Refuses what is below 0.

    Raises:
        ConfigError: it is negative or no number.
    """
    if not value >= 0:
        raise ConfigError(f"{name} must not be negative, but is {value}.")
