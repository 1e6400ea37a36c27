"""What stands in a config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightformer.errors import CheckpointError


class Settings:
    """The settings of a model of `transformers`, with the defaults that it takes for those that are left out.

    Args:
        values: what stands in config.json
        defaults: of the family
        where: the file, for messages
    """

    def __init__(
        self, values: Mapping[str, Any], defaults: Mapping[str, Any], where: str = "config.json"
    ) -> None:
        self.values = dict(values)
        self.defaults = dict(defaults)
        self.where = where

    def __getitem__(self, name: str) -> Any:
        value = self.values.get(name)
        if value is not None:
            return value
        if name not in self.defaults:
            raise CheckpointError(f"{self.where} has no {name}, which says how large the model is.")
        return self.defaults[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Returns a setting, or `default` where there is none."""
        value = self.values.get(name, self.defaults.get(name))
        return default if value is None else value

    def only(self, **allowed: Any) -> None:
        """Refuses settings that have another value than the one that lightformer has blocks for."""
        for name, value in allowed.items():
            if (found := self.get(name, value)) != value:
                raise CheckpointError(
                    f"{self.where} has {name} {found!r}, and lightformer can read such a model only with {value!r}."
                )


ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu_squared",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}
"""Their names of activations, and ours; the first of several is written."""

THEIR_ACTIVATIONS = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}


def activation(settings: Settings, name: str) -> Any:
    """Returns our name of the activation that a setting names."""
    found = settings[name]
    if found not in ACTIVATIONS:
        raise CheckpointError(
            f"{settings.where} has {name} {found!r}, and lightformer has {', '.join(ACTIVATIONS)}."
        )
    return ACTIVATIONS[found]
