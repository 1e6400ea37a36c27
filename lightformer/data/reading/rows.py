"""A row: where it stands, and the values of its columns. Text that looks like nothing ("NA", "null") stays text."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lightformer.data.reading import lines
from lightformer.errors import DataError, did_you_mean

Row = tuple[str, Mapping[str, Any]]
"""Where it stands, as `file, line 3`, and its columns; one that cannot be read is the DataError that says why."""

Needed = Collection[str] | None
"""The columns whose values are needed, where it is not all; a row has None for the others."""


def column(where: str, row: Mapping[str, Any], name: str) -> Any:
    """Returns the value of a column.

    Raises:
        DataError: there is no such column, or it cannot be read.
    """
    if name not in row:
        raise DataError(f"{where} has no {name!r}.{did_you_mean(name, map(str, row), 'Columns')}")
    value = row[name]
    if isinstance(value, DataError):
        raise value
    return value


def text_column(where: str, row: Mapping[str, Any], name: str) -> str:
    """Returns the text of a column.

    Raises:
        DataError: there is no such column, or what it holds is not text, or longer than a row may be.
    """
    value = column(where, row, name)
    if not isinstance(value, str):
        raise DataError(f"{where} must have text in {name!r}, but has {shown(value)}.")
    if len(value) > lines.LONGEST:
        raise lines.too_long(where)
    check_characters(where, name, value)
    return value


def check_characters(where: str, name: str, value: str) -> None:
    """Refuses what no text file could hold.

    Raises:
        DataError: there is a NUL in it, or half a character.
    """
    nul = value.find("\0")
    if nul >= 0:
        raise DataError(f"{where} must have text in {name!r}, but character {nul + 1} is a NUL.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = ord(value[error.start])
        raise DataError(
            f"{where} must have text in {name!r}, but character {error.start + 1} is half a "
            f"character (\\u{half:04x})."
        ) from error


def shown(value: Any) -> str:
    """Names the kind of a value, for a sentence."""
    kinds = {dict: "an object", list: "a list", str: "text", type(None): "null"}
    return kinds.get(type(value), f"the value {reprlib.repr(value)}")


def check_columns(where: str, names: Sequence[str]) -> None:
    """Refuses a header in which a name stands twice.

    Raises:
        DataError: it does.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{where} names the column {twice!r} twice; rename one.")
