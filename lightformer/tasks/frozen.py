"""Parameters that stay as they are."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from lightformer.errors import ConfigError
from lightformer.patterns import matching


def freeze(model: nn.Module, patterns: Iterable[str]) -> None:
    """Keeps the parameters that a pattern matches from moving.

    Raises:
        ConfigError: a pattern matches nothing.
    """
    parameters = dict(model.named_parameters())
    for name in matching(patterns, parameters, "freeze", "parameter"):
        parameters[name].requires_grad_(False)


def check_learns(model: nn.Module) -> None:
    """Refuses a model of which nothing would move.

    Raises:
        ConfigError: all of its parameters are frozen.
    """
    parameters = list(model.parameters())
    if not any(parameter.requires_grad for parameter in parameters):
        raise ConfigError(
            f"freeze must leave something to learn, but all {len(parameters)} parameters would stay as they are; "
            "leave some out of its patterns, such as those of a head."
        )
