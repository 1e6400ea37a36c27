"""The rows of .jsonl and .json files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightformer.data.reading.blocks import text_blocks
from lightformer.data.reading.faults import Reading
from lightformer.data.reading.lines import Line, lines
from lightformer.data.reading.rows import Row, shown
from lightformer.errors import DataError

LARGEST = 1 << 28
"""Characters of a .json file, at most: it is held in memory, while a .jsonl file is not."""


def json_lines(path: Path, reading: Reading) -> Iterator[Row]:
    """Yields the objects of a .jsonl file, one a line."""

    def row(line: Line) -> Row:
        number, text, fault = line
        if fault is not None:
            raise fault
        where = f"{path}, line {number}"
        return where, _object(where, _parsed(where, text))

    found = lines(path, reading)
    return reading.each(row, (line for line in found if line[1] and not line[1].isspace()))


def json_list(path: Path, reading: Reading) -> Iterator[Row]:
    """Yields the objects of a .json file, which is one list."""
    blocks, length = [], 0
    for block in text_blocks(path, reading):
        if isinstance(block, DataError):
            raise block
        blocks.append(block)
        length += len(block)
        if length > LARGEST:
            raise DataError(
                f"{path} is longer than {LARGEST:,} characters, which a .json file may have; "
                "write it as .jsonl, one object a line."
            )
    rows = _parsed(str(path), "".join(blocks))
    if not isinstance(rows, list):
        raise DataError(f"{path} must be a list of objects, but is {shown(rows)}.")
    places = (f"{path}, row {number}" for number in range(1, len(rows) + 1))
    yield from reading.each(lambda item: (item[0], _object(*item)), zip(places, rows, strict=True))


class _Twice(dict[str, Any]):
    """An object in which a key stands twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.key = next(name for name in names if names.count(name) > 1)


def _of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Twice(pairs)


_DECODER = json.JSONDecoder(object_pairs_hook=_of_pairs)


def _parsed(where: str, text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        whole = ", line" not in where
        line = f", line {error.lineno}" if whole else ""
        hint = "; is it one object a line, it is .jsonl" if whole and "Extra" in error.msg else ""
        raise DataError(
            f"{where}{line}, column {error.colno} is broken JSON: {error.msg}{hint}."
        ) from error
    except RecursionError as error:
        raise DataError(f"{where} is broken JSON: it is nested too deeply.") from error
    except ValueError as error:
        most = sys.get_int_max_str_digits()
        raise DataError(
            f"{where} is broken JSON: a whole number may have {most:,} digits, and one has more; make it text."
        ) from error


def _object(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(
            f"{where} must be an object such as {{'text': ...}}, but is {shown(value)}."
        )
    if isinstance(value, _Twice):
        raise DataError(f"{where} has the key {value.key!r} twice; keep one.")
    return value
