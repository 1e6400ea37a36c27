"""Schedules: each step compared with the formula in the docs and with one written here."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import math
import re
from typing import Any

import pytest

from lightformer import schedule
from lightformer.catalogue.signatures import argument_docs
from lightformer.errors import ConfigError
from lightformer.registry import Spec, find, names
from tests.variants import variants

TOTAL, WARMUP = 23, 5
WORDS = {"min": min, "max": max, "sqrt": math.sqrt, "cos": math.cos, "exp": math.exp, "pi": math.pi}


def formula(spec: Any) -> str:
    """The section `Formula:` of a schedule's docs."""
    found = re.search(r"^Formula:\n(.*?)(?=\n\nArgs:\n|\Z)", inspect.getdoc(spec.part), re.M | re.S)
    assert found is not None, spec.name
    return found[1]


def settings() -> list[Any]:
    """Every schedule with options that differ from its defaults, and with the edges of each."""
    other: dict[str, list[Any]] = {
        "warmup_steps": [0, 1, WARMUP, TOTAL - 1, TOTAL, 50],
        "final": [0.0, 0.3],
        "decay_share": [0.01, 0.3, 1.0],
        "decay": ["linear", "1-sqrt"],
    }
    found = []
    for name in names("schedule"):
        spec = find("schedule", name)
        options = [f.name for f in dataclasses.fields(spec) if f.name in other]
        for values in itertools.product(*(other[option] for option in options)):
            made = spec(**dict(zip(options, values, strict=True)))
            found.append(pytest.param(made, id="-".join((name, *map(str, values)))))
    return found


@pytest.mark.parametrize("spec", settings())
def test_each_step_is_the_formula_of_the_docs(spec: Spec) -> None:
    for total in (1, 2, TOTAL):
        made = spec(total)
        for step in range(total + 2):
            known = {**WORDS, **spec.options(), "step": step, "total_steps": total}
            expected = eval(f"(\n{formula(spec)}\n)", {"__builtins__": {}}, known)
            assert math.isclose(made.factor(step), expected, rel_tol=1e-12, abs_tol=1e-12), step


@pytest.mark.parametrize("name", names("schedule"))
def test_the_formula_stands_right_before_the_options(name: str) -> None:
    spec: Any = find("schedule", name)
    docs = inspect.getdoc(spec.part)
    assert docs is not None
    assert formula(spec) + "\n\nArgs:\n" in docs
    assert list(argument_docs(docs)) == [field.name for field in dataclasses.fields(spec)]


FORMULAS = {
    "constant": (schedule.constant(warmup_steps=WARMUP), lambda step, done: 1.0),
    "linear": (
        schedule.linear(warmup_steps=WARMUP, final=0.2),
        lambda step, done: 1 - 0.8 * done,
    ),
    "cosine": (
        schedule.cosine(warmup_steps=WARMUP, final=0.2),
        lambda step, done: 0.2 + 0.8 * (1 + math.cos(math.pi * done)) / 2,
    ),
    "inverse_sqrt": (
        schedule.inverse_sqrt(warmup_steps=WARMUP),
        lambda step, done: ((WARMUP + 1) / (step + 1)) ** 0.5,
    ),
    "wsd": (
        schedule.wsd(warmup_steps=WARMUP, decay_share=7 / TOTAL, decay="1-sqrt", final=0.2),
        lambda step, done: 1 if step < 16 else 0.2 + 0.8 * (1 - math.sqrt((step - 16) / 7)),
    ),
    "wsd linear": (
        schedule.wsd(warmup_steps=WARMUP, decay_share=7 / TOTAL, decay="linear"),
        lambda step, done: 1 if step < 16 else 1 - (step - 16) / 7,
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_each_step_of_a_schedule(name: str) -> None:
    spec, falling = FORMULAS[name]
    made = spec(TOTAL)
    for step in range(TOTAL):
        rising = (step + 1) / (WARMUP + 1)
        done = (step - WARMUP) / (TOTAL - WARMUP)
        expected = rising if step < WARMUP else falling(step, done)
        # where a root starts, it makes much of what rounding leaves
        assert math.isclose(made.factor(step), expected, rel_tol=1e-12, abs_tol=1e-7), step


def test_every_schedule_has_a_formula_here() -> None:
    assert {name.split()[0] for name in FORMULAS} == set(names("schedule"))


def test_inverse_sqrt_is_that_of_the_first_transformer() -> None:
    """hidden_size^-0.5 min(n^-0.5, n warmup^-1.5), n counted from 1, divided by its largest value."""
    peak, made = 40, schedule.inverse_sqrt(warmup_steps=39)(TOTAL)
    rates = [512**-0.5 * min(n**-0.5, n * peak**-1.5) for n in range(1, 200)]
    for step, rate in enumerate(rates):
        assert math.isclose(made.factor(step), rate / max(rates), rel_tol=1e-12)
    assert math.isclose(made.factor(4 * peak - 1), 0.5)


def test_wsd_is_the_same_until_the_fall_whatever_the_length_of_the_run() -> None:
    spec = schedule.wsd(warmup_steps=WARMUP, decay_share=0.1)
    short, long = spec(100), spec(1000)
    assert [short.factor(step) for step in range(90)] == [long.factor(step) for step in range(90)]
    assert short.factor(91) < 1 == long.factor(91)


@pytest.mark.parametrize("spec", variants("schedule"))
def test_schedules_begin_above_zero_reach_the_peak_and_stay_positive(spec: Spec) -> None:
    made = type(spec)(**{**spec.options(), "warmup_steps": WARMUP})(TOTAL)
    factors = [made.factor(step) for step in range(TOTAL)]
    assert 0 < factors[0] < 1
    assert max(factors) == factors[WARMUP] == 1
    assert min(factors) > 0
    assert factors == [made.factor(step) for step in range(TOTAL)]
    assert type(spec)()(TOTAL).factor(0) == 1


@pytest.mark.parametrize(
    ("name", "end"),
    [("linear", 0.2), ("cosine", 0.2), ("constant", 1.0), ("wsd", 0.2), ("wsd linear", 0.0)],
)
def test_the_end_of_a_schedule_is_held(name: str, end: float) -> None:
    made = FORMULAS[name][0](TOTAL)
    assert math.isclose(made.factor(TOTAL), end)
    assert math.isclose(made.factor(TOTAL + 100), end)


@pytest.mark.parametrize("spec", variants("schedule"))
def test_a_warm_up_longer_than_the_run_goes_on_rising(spec: Spec) -> None:
    made = type(spec)(**{**spec.options(), "warmup_steps": 50})(TOTAL)
    factors = [made.factor(step) for step in range(TOTAL)]
    assert factors == sorted(factors)
    assert factors[-1] == TOTAL / 51
    assert made.factor(50) == 1


@pytest.mark.parametrize("spec", variants("schedule"))
def test_a_negative_warm_up_is_refused(spec: Spec) -> None:
    with pytest.raises(ConfigError) as caught:
        type(spec)(**{**spec.options(), "warmup_steps": -1})(TOTAL)
    assert str(caught.value) == "warmup_steps must not be negative, but is -1."


REFUSED: list[tuple[Any, str]] = [
    (schedule.linear(final=-0.1), "final must be between 0 and 1, but is -0.1."),
    (schedule.cosine(final=1.5), "final must be between 0 and 1, but is 1.5."),
    (schedule.wsd(final=-0.1), "final must be between 0 and 1, but is -0.1."),
    (schedule.wsd(decay_share=0.0), "decay_share must be above 0 and at most 1, but is 0.0."),
    (schedule.wsd(decay_share=20), "decay_share must be above 0 and at most 1, but is 20."),
    (schedule.wsd(decay="cosine"), "decay must be linear or 1-sqrt, but is cosine."),
]


@pytest.mark.parametrize(("spec", "sentence"), REFUSED, ids=lambda value: str(value)[:40])
def test_options_that_cannot_work_are_refused(spec: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec(TOTAL)
    assert str(caught.value) == sentence
