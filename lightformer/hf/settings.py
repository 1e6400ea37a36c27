"""What stands in a config.json."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lightformer.errors import CheckpointError

MOST_LAYERS = 10_000
_MOST = 2**31 - 1


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

    def whole(
        self, name: str, default: int | None = None, *, least: int = 1, most: int = _MOST
    ) -> int:
        """Returns a whole number."""
        what = f"a whole number from {least} to {most}"
        return self._of_type(
            name, default, what, lambda value: type(value) is int and least <= value <= most
        )

    def number(self, name: str, default: float | None = None) -> float:
        """Returns a number above 0."""
        return self._of_type(
            name,
            default,
            "a number above 0",
            lambda value: type(value) in (int, float) and 0 < value <= sys.float_info.max,
        )

    def share(self, name: str, default: float | None = None) -> float:
        """Returns the probability of dropping something."""
        return self._of_type(
            name,
            default,
            "a number from 0 on and below 1",
            lambda value: type(value) in (int, float) and 0 <= value < 1,
        )

    def flag(self, name: str) -> bool:
        """Returns whether something is so."""
        return self._of_type(name, None, "true or false", lambda value: type(value) is bool)

    def one_of(self, name: str, known: Mapping[str, Any]) -> Any:
        """Returns our name of what a setting names."""
        found = self[name]
        if not isinstance(found, str) or found not in known:
            raise CheckpointError(
                f"{self.where} has {name} {found!r}, and lightformer has {', '.join(known)}."
            )
        return known[found]

    def table(self, name: str) -> Mapping[str, Any]:
        """Returns settings inside of a setting; none where it is not there."""
        return self._of_type(name, {}, "a JSON object", lambda value: isinstance(value, dict))

    def labels(self) -> tuple[str, ...]:
        """Returns the names of the classes, in order."""
        count = self.whole("num_labels", 2)
        names = self.table("id2label") or {str(i): f"LABEL_{i}" for i in range(count)}
        found = tuple(names.get(str(number)) for number in range(len(names)))
        words = [name for name in found if isinstance(name, str)]
        if len({*words}) != len(names):
            raise CheckpointError(
                f"{self.where} must have a name for each class, 0 to {len(names) - 1}, and no two alike, as id2label, "
                f"but has {reprlib.repr(dict(names))}."
            )
        if len(words) < 2:
            raise CheckpointError(
                f"{self.where} has one label alone (num_labels 1), whose score is a number and no class, as that of a "
                "reranker; lightformer reads two labels or more."
            )
        return tuple(words)

    def _of_type(self, name: str, default: Any, what: str, fits: Callable[[Any], bool]) -> Any:
        value = self[name] if default is None else self.get(name, default)
        if not fits(value):
            raise CheckpointError(
                f"{self.where} must have {what} as {name}, but has {reprlib.repr(value)}."
            )
        return value

    def only(self, **allowed: Any) -> None:
        """Refuses settings that have another value than the one that lightformer has blocks for."""
        for name, value in allowed.items():
            if (found := self.get(name, value)) != value:
                raise CheckpointError(
                    f"{self.where} has {name} {found!r}, and lightformer can read such a model only with {value!r}."
                )


ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
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
    return settings.one_of(name, ACTIVATIONS)
