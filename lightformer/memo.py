"""What is made once in a forward, and serves every layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

Made = list[tuple[object, T]]
"""What has been made, by keys that are compared and not hashed: a length is a symbol while a model is exported."""


def once(made: Made[T], key: object, make: Callable[[], T]) -> T:
    """Returns what was made for an equal key, or makes it now."""
    for known, value in made:
        if known == key:
            return value
    value = make()
    made.append((key, value))
    return value
