"""Labels of a user's rows: words, whole numbers, or true and false, but one of these throughout."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable
from typing import Any

from lightformer.data.reading.rows import check_characters
from lightformer.errors import DataError

MOST = 1 << 16
"""Classes, at most: they are held in memory, and a column with more is mostly no column of classes."""

_KINDS = {str: "a word", int: "a number", bool: "true or false"}
_SHOWN = 20


def clean_label(where: str, name: str, value: Any) -> str | int | bool:
    """Returns a label as it is.

    Raises:
        DataError: it is no word and no whole number from 0 on.
    """
    if isinstance(value, str):
        check_characters(where, name, value)
        value = value.strip()
    if type(value) not in _KINDS or value == "":
        shown = "nothing" if value is None or value == "" else reprlib.repr(value)
        raise DataError(f"{where} must have a word or a whole number as {name!r}, but has {shown}.")
    if (type(value) is int and value < 0) or (type(value) is str and re.fullmatch(r"-\d+", value)):
        raise DataError(
            f"{where} has the {name!r} {value}, which mostly marks a row without one; "
            "leave such rows out."
        )
    return value


class LabelNames:
    """Collects the labels of the training rows, then numbers them in order.

    Args:
        name: the column they come from, for messages
        known: labels that were collected before
    """

    def __init__(self, name: str, known: Iterable[str | int | bool] = ()) -> None:
        self._name = name
        self._seen: dict[Any, str] = dict.fromkeys(known, "")  # label: where it was met first
        self._names: tuple[str, ...] = ()
        self._numbers: dict[str, int] = {}

    @property
    def collected(self) -> list[str | int | bool]:
        """Each label once, as it was met."""
        return list(self._seen)

    def add(self, where: str, value: Any) -> None:
        """Takes the label of a training row."""
        label = self._of_one_kind(where, value)
        self._seen.setdefault(label, where)
        if len(self._seen) > MOST:
            raise DataError(
                f"{where} has class number {len(self._seen):,}, but there may be {MOST:,}; "
                f"set data.label to a column of classes, which {self._name!r} is not."
            )

    def _of_one_kind(self, where: str, value: Any) -> str | int | bool:
        """Returns a label as it is.

        Raises:
            DataError: it is no label, or of another kind than those that were collected.
        """
        label = clean_label(where, self._name, value)
        for other, place in self._seen.items():
            if type(other) is not type(label):
                raise DataError(
                    f"{where} has {_KINDS[type(label)]} as {self._name!r} "
                    f"({reprlib.repr(label)}), but {place or 'a training row'} has {_KINDS[type(other)]} "
                    f"({reprlib.repr(other)}); use one kind throughout."
                )
            break
        return label

    def names(self) -> tuple[str, ...]:
        """Returns the names of the classes: numbers by value, words by the alphabet.

        Raises:
            DataError: there are fewer than two.
        """
        if len(self._names) != len(self._seen):
            if all(isinstance(x, str) and x.isdecimal() for x in self._seen):
                self._names = tuple(sorted(self._seen, key=lambda x: (int(x), x)))
            else:
                self._names = tuple(_spell(x) for x in sorted(self._seen))
            self._numbers = {name: number for number, name in enumerate(self._names)}
        if len(self._names) < 2:
            raise DataError(
                "A classifier needs two classes or more, but every training row has the "
                f"{self._name!r} {', '.join(self._names) or 'of nothing: there are no rows'}."
            )
        return self._names

    def number(self, where: str, value: Any) -> int:
        """Returns the number of a label.

        Raises:
            DataError: no training row has it, or one of its kind.
        """
        label = self._of_one_kind(where, value)
        names = self.names()
        number = self._numbers.get(_spell(label))
        if number is None:
            more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            raise DataError(
                f"{where} has the {self._name!r} {reprlib.repr(label)}, which no training row has. "
                f"Known: {', '.join(names[:_SHOWN])}{more}."
            )
        return number


def _spell(label: Any) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
