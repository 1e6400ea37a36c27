"""What a part promises, and how it is found out whether it holds.

A promise is a function that tries one part and returns a `Figure`. Its docstring is what the table prints: the
first paragraph is the claim, what follows `Breach:` is what a broken one usually means.

    @promise("norm", needs=("runs",))
    def rows(trial: NormTrial) -> Figure:
        \"\"\"Each vector is normalised by itself.

        Breach: a statistic is taken over more than the last dimension.
        \"\"\"
        return difference(...)
"""

from __future__ import annotations

import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightformer.errors import ConfigError
from lightformer.registry import Spec

HELD, BROKEN, OPEN, REFUSED, ABSENT = "held", "BROKEN", "open", "refused", "-"
"""Of a promise: it is kept; it is not; it cannot be judged, as one that it rests on is broken; the part refuses the
case by a sentence; the part has nothing that it speaks of."""


@dataclass(frozen=True)
class Figure:
    """What was measured.

    Args:
        used: share of what is allowed that it takes up; above 1, or no number, the promise is broken
        text: the figure, with its bound
        where: in which of several cases it was measured
    """

    used: float
    text: str
    where: str = ""

    @property
    def held(self) -> bool:
        return self.used <= 1.0


class DoesNotApply(Exception):
    """Raised by a promise where the part has nothing that it speaks of; says what is lacking."""


@dataclass(frozen=True)
class Promise:
    """One thing that all parts of a kind promise.

    Args:
        kind: of the parts
        name: one word or two
        claim: what is promised, in a sentence
        breach: what a broken one usually means
        needs: names of the promises without which this one cannot be judged
        measure: tries a part, given the trial of its kind
    """

    kind: str
    name: str
    claim: str
    breach: str
    needs: tuple[str, ...]
    measure: Callable[[Any], Figure]


@dataclass(frozen=True)
class Result:
    """What came of one promise.

    Args:
        promise: which
        status: one of HELD, BROKEN, OPEN, REFUSED, ABSENT
        figure: what was measured, or why nothing was
        where: in which of several cases
    """

    promise: Promise
    status: str
    figure: str
    where: str = ""


_promises: dict[str, dict[str, Promise]] = {}
_trials: dict[str, Callable[..., Any]] = {}


def promise(kind: str, *, needs: tuple[str, ...] = ()) -> Callable[[Callable[[Any], Figure]], Any]:
    """Adds a function to the promises of a kind, under its own name. Use it as a decorator."""

    def decorate(measure: Callable[[Any], Figure]) -> Callable[[Any], Figure]:
        name = measure.__name__.strip("_").replace("_", " ")
        claim, _, breach = (inspect.getdoc(measure) or "").partition("\n\nBreach: ")
        made = Promise(
            kind, name, " ".join(claim.split()), " ".join(breach.split()), needs, measure
        )
        _promises.setdefault(kind, {})[name] = made
        return measure

    return decorate


def trial(kind: str) -> Callable[[Any], Any]:
    """Says with what the promises of a kind are tried: a class made of a spec and sizes. Use it as a decorator."""

    def decorate(made: Any) -> Any:
        _trials[kind] = made
        return made

    return decorate


def promises_of(kind: str) -> list[Promise]:
    """Returns the promises of a kind, those that others need first."""
    return list(_promises.get(kind, {}).values())


def new_trial(spec: Spec, **sizes: Any) -> Any:
    """Returns that with which the promises of a part are tried."""
    return _trials[spec.kind](spec, **sizes)


def judge(promise: Promise, given: Any, broken: set[str]) -> Result:
    """Tries one promise; the same each time, whatever came before.

    Args:
        promise: which
        given: the trial of its kind
        broken: names of the promises that are known to be broken
    """
    if missing := [name for name in promise.needs if name in broken]:
        return Result(promise, OPEN, f"rests on {', '.join(missing)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        try:
            figure = promise.measure(given)
        except DoesNotApply as reason:
            return Result(promise, ABSENT, str(reason))
        except ConfigError as error:
            return Result(promise, REFUSED, str(error))
        except Exception as error:
            sentence = textwrap.shorten(str(error), 200, placeholder=" ...")
            return Result(promise, BROKEN, f"{type(error).__name__}: {sentence}")
    return Result(promise, HELD if figure.held else BROKEN, figure.text, figure.where)


def difference(found: Tensor, expected: Tensor, bound: float = 1e-9) -> Figure:
    """The largest difference of two tensors, relative to the second where that is above 1; small is good."""
    if found.shape != expected.shape:
        return Figure(math.inf, f"shape {tuple(found.shape)}, not {tuple(expected.shape)}")
    gaps = (found - expected).abs() / expected.abs().clamp(min=1.0)
    gap = gaps.max().item() if gaps.numel() else 0.0
    return Figure(gap / bound, f"{gap:.1e} (at most {bound:.0e})")


def change(found: Tensor, other: Tensor, least: float = 1e-6) -> Figure:
    """The largest difference of two tensors; large is good."""
    gap = (found - other).abs().max().item()
    return Figure(least / max(gap, 1e-300), f"{gap:.1e} (at least {least:.0e})")


def truth(held: bool, text: str) -> Figure:
    """Something that is so or not."""
    return Figure(0.0 if held else math.inf, text)


def worst(figures: Mapping[str, Figure]) -> Figure:
    """The figure that takes up the most of what is allowed, with its name."""
    name = max(figures, key=lambda n: math.inf if math.isnan(figures[n].used) else figures[n].used)
    found = figures[name]
    return Figure(found.used, found.text, ", ".join(filter(None, (found.where, name))))
