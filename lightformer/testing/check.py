"""Trying a part: each promise of its kind, and a table of what came of it."""

from __future__ import annotations

import importlib
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from lightformer.errors import ConfigError, did_you_mean
from lightformer.plain import to_plain
from lightformer.registry import KINDS, Spec
from lightformer.testing.promise import (
    ABSENT,
    BROKEN,
    OPEN,
    REFUSED,
    Promise,
    Result,
    judge,
    new_trial,
    promises_of,
)
from lightformer.testing.sizes import Sizes

WIDTH, ROOM = 120, 28


@dataclass(frozen=True)
class Report:
    """What came of the promises of one part.

    Args:
        spec: the part, with its options
        results: one for each promise
    """

    spec: Spec
    results: tuple[Result, ...]

    @property
    def broken(self) -> list[str]:
        """Names of the promises that are broken."""
        return [r.promise.name for r in self.results if r.status == BROKEN]

    def assert_held(self) -> None:
        """Fails a test where a promise is broken.

        Raises:
            AssertionError: with the table.
        """
        if self.broken:
            raise AssertionError(f"{', '.join(self.broken)} broken\n{self}")

    def __str__(self) -> str:
        plain = to_plain(self.spec)
        inside = ", ".join(f"{k}: {v}" for k, v in plain.items() if k != "name")
        lines = [f"{self.spec.kind} {self.spec.name} {{{inside}}}", ""]
        name_width = max(len(r.promise.name) for r in self.results)
        room = min(ROOM, max(len(r.figure) for r in self.results))
        for result in self.results:
            promise, figure, margin = result.promise, result.figure, name_width + 13
            short = figure if len(figure) <= room else ""
            lines.append(
                f"  {result.status:7}  {promise.name:{name_width}}  {short:{room}}  {promise.claim}"
            )
            lines += _indented("" if short else figure, margin)
            if result.status == BROKEN:
                lines += _indented(result.where and f"Where: {result.where}", margin)
                lines += _indented(f"Usually: {promise.breach}", margin)
        counts = Counter(_WORDS.get(r.status, r.status) for r in self.results)
        return "\n".join([*lines, "", ", ".join(f"{n} {word}" for word, n in counts.items())])


_WORDS = {ABSENT: "not applicable"}


def _indented(text: str, by: int) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * by, subsequent_indent=" " * by)


def promises(kind: str) -> list[Promise]:
    """Returns what every part of a kind promises.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"There is no kind {kind!r} of part.{did_you_mean(kind, KINDS, 'Kinds')}")
    importlib.import_module(f"lightformer.testing.{kind}")
    return promises_of(kind)


def check(spec: Spec, *, sizes: Sizes | None = None, skip: Iterable[str] = ()) -> Report:
    """Tries every promise of a part.

    Args:
        spec: the part with its options, such as `attention.gqa(num_kv_heads=2)`
        sizes: of the models in which it is tried, where it needs others
        skip: names of promises that are not meant to hold

    Raises:
        ConfigError: the part refuses its options, or `skip` names a promise that there is not, or all.
    """
    kind = spec.kind
    known = {promise.name: promise for promise in promises(kind)}
    left_out = [name.replace("_", " ") for name in skip]
    for name in left_out:
        if name not in known:
            raise ConfigError(
                f"{kind} has no promise {name!r}.{did_you_mean(name, known, 'Promises')}"
            )
    if not known.keys() - left_out:
        raise ConfigError(f"skip leaves none of the promises of {kind} to be tried; name fewer.")
    given = new_trial(spec) if sizes is None else new_trial(spec, sizes=sizes)
    results: list[Result] = []
    with one_thread():
        for promise in known.values():
            if promise.name not in left_out:
                unsure = {r.promise.name for r in results if r.status in (BROKEN, OPEN)}
                results.append(judge(promise, given, unsure))
                if results[0].status == REFUSED:  # not even the first: it cannot be built
                    raise ConfigError(results[0].figure)
    return Report(spec, tuple(results))


@contextmanager
def one_thread() -> Iterator[None]:
    """Threads cost more than they save in models as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
