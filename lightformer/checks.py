"""Checks of options and of weights, each with its sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lightformer.errors import CheckpointError, ConfigError

_NAMED = 20


LARGEST = 3.4e38
"""Where float32 ends."""


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
        ConfigError: it is 0, negative, no number or infinite.
    """
    if not value > 0:
        raise ConfigError(f"{name} must be above 0, but is {value}.")
    _check_bounded(value, name)


def check_not_negative(value: float, name: str) -> None:
    """Refuses what is below 0.

    Raises:
        ConfigError: it is negative, no number or infinite.
    """
    if not value >= 0:
        raise ConfigError(f"{name} must not be negative, but is {value}.")
    _check_bounded(value, name)


def check_eps(eps: float) -> None:
    """Refuses what does not keep a norm from dividing 0 by 0, or leaves nothing of what is normed.

    Raises:
        ConfigError: it is below 1e-20, above 1 or no number.
    """
    if not 1e-20 <= eps <= 1.0:
        raise ConfigError(
            f"eps must be from 1e-20, which keeps a vector of zeros from being divided by 0, to 1, but is {eps}."
        )


def _check_bounded(value: float, name: str) -> None:
    if value > LARGEST:
        raise ConfigError(f"{name} must be at most {LARGEST}, where float32 ends, but is {value}.")


def check_weights(
    own: Mapping[str, Any], state: Mapping[str, Any], path: str, name_of: Callable[[str], str]
) -> None:
    """Compares the names and shapes of weights with those of a model.

    Args:
        own: of the model
        state: the weights
        path: where they come from
        name_of: how a weight is called there

    Raises:
        CheckpointError: they differ; what differs is named.
    """
    for name, value in state.items():
        if name in own and own[name].shape != value.shape:
            raise CheckpointError(
                f"{path} does not fit the model: {name_of(name)} has shape {tuple(value.shape)} there, and "
                f"{tuple(own[name].shape)} here."
            )
    missing, unexpected = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    for what, names in (("lacks", missing), ("has, and the model lacks,", unexpected)):
        if names:
            listed = list(dict.fromkeys(map(name_of, names)))
            more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
            raise CheckpointError(
                f"{path} does not fit the model: it {what} {', '.join(listed[:_NAMED])}{more}."
            )
