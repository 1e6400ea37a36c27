from __future__ import annotations

import math
from typing import Any

import pytest

from lightformer.data import labels
from lightformer.data.labels import LabelNames
from lightformer.errors import DataError


def names_of(*values: Any) -> LabelNames:
    names = LabelNames("label")
    for number, value in enumerate(values, start=2):
        names.add(f"a.csv, line {number}", value)
    return names


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("pos", "neg", "pos "), ("neg", "pos")),
        ((2, 10, 0), ("0", "2", "10")),
        (("2", "10", "0"), ("0", "2", "10")),
        ((True, False), ("false", "true")),
    ],
)
def test_labels_are_numbered_in_order(values: tuple[Any, ...], expected: tuple[str, ...]) -> None:
    names = names_of(*values)
    assert names.names() == expected
    assert sorted({names.number("here", value) for value in values}) == list(range(len(expected)))
    assert expected[names.number("here", values[0])] == str(values[0]).lower()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            (1, "1"),
            "a.csv, line 3 has a word as 'label' ('1'), but a.csv, line 2 has a number (1); use one kind throughout.",
        ),
        (
            (1, 0, True),
            "a.csv, line 4 has true or false as 'label' (True), but a.csv, line 2 has a number (1); "
            "use one kind throughout.",
        ),
        ((1, 1.0), "a.csv, line 3 must have a word or a whole number as 'label', but has 1.0."),
        ((math.nan,), "a.csv, line 2 must have a word or a whole number as 'label', but has nan."),
        (
            ("a", " "),
            "a.csv, line 3 must have a word or a whole number as 'label', but has nothing.",
        ),
        (
            ("a", "b\0"),
            "a.csv, line 3 must have text in 'label', but character 2 is a NUL.",
        ),
        ((None,), "a.csv, line 2 must have a word or a whole number as 'label', but has nothing."),
        (
            (0, -1),
            "a.csv, line 3 has the 'label' -1, which mostly marks a row without one; leave such rows out.",
        ),
        (
            ("-100",),
            "a.csv, line 2 has the 'label' -100, which mostly marks a row without one; leave such rows out.",
        ),
    ],
)
def test_faulty_labels_are_named(values: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(DataError) as raised:
        names_of(*values)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(("known", "unknown"), [(("a", "b"), "c"), ((0, 1), 2)])
def test_a_label_that_no_training_row_has_is_named(known: tuple[Any, ...], unknown: Any) -> None:
    with pytest.raises(DataError) as raised:
        names_of(*known).number("v.csv, line 9", unknown)
    assert str(raised.value) == (
        f"v.csv, line 9 has the 'label' {unknown!r}, which no training row has. "
        f"Known: {known[0]}, {known[1]}."
    )


@pytest.mark.parametrize(("value", "shown"), [("0", "a word"), (True, "true or false")])
def test_a_label_of_another_kind_than_the_training_rows_have_is_named(
    value: Any, shown: str
) -> None:
    for names, place in [
        (names_of(0, 1), "a.csv, line 2"),
        (LabelNames("label", [0, 1]), "a training row"),
    ]:
        with pytest.raises(DataError) as raised:
            names.number("v.csv, line 9", value)
        assert str(raised.value) == (
            f"v.csv, line 9 has {shown} as 'label' ({value!r}), but {place} has a number (0); "
            "use one kind throughout."
        )


def test_of_many_classes_a_few_are_told() -> None:
    with pytest.raises(DataError) as raised:
        names_of(*map(str, range(31))).number("v.csv, line 9", "x" * 503)
    assert str(raised.value) == (
        "v.csv, line 9 has the 'label' 'xxxxxxxxxxxx...xxxxxxxxxxxxx', which no training row has. "
        f"Known: {', '.join(map(str, range(20)))} and 11 more."
    )


def test_a_column_that_is_no_column_of_classes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST", 3)
    assert len(names_of("a", "b", "c", "a").names()) == 3
    with pytest.raises(DataError) as raised:
        names_of("a", "b", "c", "a", "d")
    assert str(raised.value) == (
        "a.csv, line 6 has class number 4, but there may be 3; "
        "set data.label to a column of classes, which 'label' is not."
    )


def test_one_class_is_too_few() -> None:
    with pytest.raises(DataError) as raised:
        names_of("a", "a").names()
    assert str(raised.value) == (
        "A classifier needs two classes or more, but every training row has the 'label' a."
    )
