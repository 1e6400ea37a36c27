"""Parts with one bug each, and the promise that must name it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from lightformer.registry import Spec, make_spec
from lightformer.testing import check

T = TypeVar("T")


class Mutants:
    """The mutants of one kind.

    Args:
        kind: of the parts
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.found: list[tuple[str, Any, dict[str, Any]]] = []

    def breaks(self, promise: str, **options: Any) -> Callable[[T], T]:
        """Says of a part which promise its bug breaks."""

        def decorate(part: T) -> T:
            self.found.append((promise, part, options))
            return part

        return decorate

    def parameters(self) -> list[Any]:
        """Returns a spec and a promise for each mutant."""
        return [
            pytest.param(
                make_spec(self.kind, part.__name__, part)(**options), promise, id=part.__name__
            )
            for promise, part, options in self.found
        ]


def assert_named(spec: Spec, promise: str) -> None:
    """The kit names that promise, and no other."""
    report = check(spec)
    assert report.broken == [promise], f"\n{report}"
