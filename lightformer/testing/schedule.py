"""What every schedule promises."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from lightformer.errors import ConfigError
from lightformer.schedule import Schedule, ScheduleSpec
from lightformer.testing.promise import DoesNotApply, Figure, promise, trial, truth, worst
from lightformer.testing.sizes import Sizes

TOTALS, WARMUPS = (1, 2, 23, 200), (0, 1, 5, 23, 100, 3_000)
"""How long runs and their warm-ups are; some runs have one step, some end before their warm-up does."""

LONG = 10_000
ROUNDING = 1e-9

WORDS = {"min": min, "max": max, "sqrt": math.sqrt, "cos": math.cos, "exp": math.exp, "pi": math.pi}
"""What a formula may speak of, beside step, total_steps and the options."""


@dataclass(frozen=True)
class Case:
    """A schedule of one run.

    Args:
        spec: of the schedule
        total_steps: of the run
        made: the schedule
    """

    spec: ScheduleSpec
    total_steps: int
    made: Schedule

    def steps(self) -> Iterable[int]:
        """The steps of the run."""
        return range(self.total_steps)

    def all_steps(self) -> Iterable[int]:
        """The steps of the run, and some that come after it."""
        total = self.total_steps
        later = (total + 1, total + 7, 2 * total, 10 * total + 3, 1000 * total)
        return (*range(total + 1), *later)

    def where(self, step: int) -> str:
        options = (f"{name}={value}" for name, value in self.spec.options().items())
        return ", ".join((f"step {step} of {self.total_steps}", *options))


@trial("schedule")
@dataclass(frozen=True)
class ScheduleTrial:
    """A schedule, and the runs that it is tried in."""

    spec: ScheduleSpec
    sizes: Sizes = field(default_factory=Sizes)

    def warm_ups(self) -> list[ScheduleSpec]:
        """The schedule with warm-ups of several lengths, if it has one."""
        if "warmup_steps" not in self.spec.options():
            return []
        return [self.spec.replace(warmup_steps=n) for n in WARMUPS]

    def others(self) -> list[ScheduleSpec]:
        """The schedule with each option changed that is a number, or true or false."""
        return [
            self.spec.replace(**{name: other})
            for name, value in self.spec.options().items()
            for other in _others(value)
        ]

    def cases(
        self, totals: Iterable[int] = TOTALS, others: Iterable[ScheduleSpec] = ()
    ) -> Iterator[Case]:
        """Every run that the schedule does not refuse, with each of its warm-ups.

        Args:
            totals: how many steps the runs have
            others: the schedule with other options, beside these

        Raises:
            ConfigError: it refuses them all.
        """
        count, refusal = 0, None
        for spec in (self.spec, *(o for o in (*self.warm_ups(), *others) if o != self.spec)):
            for total in totals:
                try:
                    case = Case(spec, total, spec(total))
                except ConfigError as error:
                    refusal = error
                    continue
                count += 1
                yield case
        if refusal is not None and not count:
            raise refusal

    def factors(self, steps: Callable[[Case], Iterable[int]]) -> dict[str, float]:
        """The factor at each of these steps, by where that is."""
        return {
            case.where(step): case.made.factor(step)
            for case in self.cases()
            for step in steps(case)
        }


def _others(value: Any) -> tuple[Any, ...]:
    """Values that an option may have instead; none for what is no number."""
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value + 1, 2 * value + 3)
    return (value / 2, 0.37, 0.83) if isinstance(value, float) else ()


def lowest(factors: dict[str, float]) -> tuple[float, str]:
    """The lowest factor, and where it is; one that is no number is lower than all."""
    ranks = {name: -math.inf if math.isnan(factor) else factor for name, factor in factors.items()}
    where = min(ranks, key=lambda name: ranks[name])
    return factors[where], where


@promise("schedule")
def runs(trial: ScheduleTrial) -> Figure:
    """A number comes out at each step, however long the run is.

    Breach: a run may have one step, and end with its warm-up or before it: divide by max(1, ...). The step after the
    last is asked for too, where the root of what is left is that of a negative number.
    """
    count = 0
    for case in trial.cases():
        count += 1
        for step in case.all_steps():
            try:
                factor = case.made.factor(step)
            except Exception as error:
                return Figure(math.inf, f"{type(error).__name__}: {error}", case.where(step))
            if not isinstance(factor, (int, float)):
                return Figure(math.inf, f"a {type(factor).__name__}", case.where(step))
    return truth(True, f"{count} runs")


@promise("schedule", needs=("runs",))
def steady(trial: ScheduleTrial) -> Figure:
    """The factor depends on the step alone, whatever came before.

    Breach: it counts its calls, changes what it remembers, or shares that with another schedule. A run that is resumed
    asks for any step, and has to get what it would have got.
    """
    for case in trial.cases():
        expected = {step: case.made.factor(step) for step in case.all_steps()}
        twin, other = case.spec(case.total_steps), case.spec(2 * case.total_steps + 30)
        for step in reversed(expected):
            other.factor(step)
            for made in (case.made, twin):
                found = made.factor(step)
                if found != expected[step] and not math.isnan(found):
                    text = f"{found:.4g}, not {expected[step]:.4g}"
                    return Figure(math.inf, text, case.where(step))
    return truth(True, "forwards, backwards, again")


@promise("schedule", needs=("steady",))
def floor(trial: ScheduleTrial) -> Figure:
    """The factor is never negative, in the run and after it.

    Breach: a fall goes on after its end; hold it there by min(1, ...). Or it is no number, as 0 / 0 is in numpy.
    """
    factor, where = lowest(trial.factors(Case.all_steps))
    return Figure(0.0 if factor >= 0.0 else math.inf, f"{factor:.2g} (at least 0)", where)


@promise("schedule", needs=("floor",))
def peak(trial: ScheduleTrial) -> Figure:
    """The factor is never above 1, which is the peak.

    Breach: the warm-up goes on after its end, or is divided by too little. The lr of the optimizer is documented as the
    peak; if more is meant, leave this promise out with --skip peak.
    """
    factors = trial.factors(Case.all_steps)
    where = max(factors, key=lambda name: factors[name])
    held = factors[where] <= 1.0 + ROUNDING
    return Figure(0.0 if held else math.inf, f"{factors[where]:.4g} (at most 1)", where)


@promise("schedule", needs=("floor",))
def start(trial: ScheduleTrial) -> Figure:
    """The first step is above zero, in a warm-up too.

    Breach: steps are counted from 0, so that the first of a warm-up is lost: (step + 1) / (warmup_steps + 1).
    """
    factor, where = lowest(trial.factors(lambda case: (0,) if case.total_steps > 1 else ()))
    return Figure(0.0 if factor > 0.0 else math.inf, f"{factor:.2g} (above 0)", where)


@promise("schedule", needs=("start",))
def above_zero(trial: ScheduleTrial) -> Figure:
    """Every step of a run is above zero, so that none is lost.

    Breach: the fall is at its end before the last step is done: that is at step total_steps, counted from 0. If the
    rest of the run is meant to stand still, leave this promise out with --skip above_zero.
    """
    factor, where = lowest(trial.factors(Case.steps))
    return Figure(0.0 if factor > 0.0 else math.inf, f"{factor:.2g} (above 0)", where)


@promise("schedule", needs=("start", "peak"))
def warmup(trial: ScheduleTrial) -> Figure:
    """A warm-up rises all the way, and to 1 in its own steps.

    Breach: warmup_steps is not used, or not all of it; or the fall begins before the peak is reached.
    """
    if not trial.warm_ups():
        raise DoesNotApply("it has no option warmup_steps")
    for spec, length in zip(trial.warm_ups(), WARMUPS, strict=True):
        total = 4 * length + 23
        case = Case(spec, total, spec(total))
        factors = [case.made.factor(step) for step in range(length + 1)]
        top = next((n for n, factor in enumerate(factors) if factor >= 1.0 - ROUNDING), None)
        if top is None:
            return Figure(math.inf, f"at most {max(factors):.3g}", case.where(length))
        if top < length - 1:
            return Figure(math.inf, f"1 after {top} of {length} steps", case.where(top))
        if length >= 5 and factors[0] > 0.5:
            return Figure(math.inf, f"begins at {factors[0]:.3g}", case.where(0))
        for step, (one, two) in enumerate(pairwise(factors[: top + 1])):
            if two <= one:
                return Figure(math.inf, f"{one:.3g}, then {two:.3g}", case.where(step))
    return truth(True, f"{len(WARMUPS)} lengths")


@promise("schedule", needs=("floor", "peak"))
def end(trial: ScheduleTrial) -> Figure:
    """After the last step it does not rise again.

    Breach: a cosine goes on after its end; hold it there by min(1, ...). If it is to come back, leave this promise out
    with --skip end.
    """
    long = max(LONG, 2 * trial.spec.options().get("warmup_steps", 0))
    for case in trial.cases(totals=(long,)):
        for one, two in pairwise(range(long - 1, 4 * long, long // 10)):
            before, after = case.made.factor(one), case.made.factor(two)
            if after > before + ROUNDING:
                return Figure(math.inf, f"{before:.2g}, later {after:.2g}", case.where(two))
    return truth(True, f"until step {4 * long:,} of {long:,}")


@promise("schedule", needs=("steady",))
def formula(trial: ScheduleTrial) -> Figure:
    """Each step is what the formula in its docs says, by any options.

    Breach: an option does nothing, or something else. The section `Formula:` of the docs is a Python expression of step
    (from 0), total_steps, the options, and of min, max, sqrt, cos, exp and pi. Either it or the code is wrong.
    """
    section = re.search(r"^Formula:\n((?:[ \t].*\n?|\n)+)", inspect.getdoc(trial.spec) or "", re.M)
    if section is None:
        raise DoesNotApply("its docs have no section `Formula:`")
    try:
        code = compile(f"(\n{section[1]}\n)", "Formula", "eval")
    except SyntaxError as error:
        return truth(False, f"cannot be read: {error.msg}")
    figures = {}
    for case in trial.cases(others=trial.others()):
        for step in (*case.steps(), case.total_steps):
            given = {**case.spec.options(), "step": step, "total_steps": case.total_steps}
            try:
                expected = float(eval(code, {"__builtins__": {}}, {**WORDS, **given}))
            except Exception as error:
                return Figure(math.inf, f"{type(error).__name__}: {error}", case.where(step))
            factor = case.made.factor(step)
            gap = abs(factor - expected)
            text = f"{factor:.4g}, by the formula {expected:.4g}"
            figures[case.where(step)] = Figure(gap / 1e-6, text)
    found = worst(figures)
    gap_text = f"{found.used * 1e-6:.1e} (at most 1e-06)"
    return dataclasses.replace(found, text=gap_text) if found.held else found
