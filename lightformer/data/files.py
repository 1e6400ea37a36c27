"""Reads the files of a user. What cannot be read is answered with file, line and reason.

A file gives *records*: where each stands, and a mapping from column to value. Text that looks like
nothing ("NA", "null") stays text. A byte order mark is dropped, and line ends become one kind.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lightformer.errors import ConfigError, DataError, did_you_mean

Record = tuple[str, Mapping[str, Any]]
"""Where it stands, as `file, line 3`, and its columns."""

SUFFIXES = (".txt", ".jsonl", ".json", ".csv", ".tsv", ".parquet")


def suffix(path: Path) -> str:
    """Returns the kind of a file, whether it is compressed or not.

    Raises:
        DataError: the kind is not known.
    """
    found = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if found.lower() not in SUFFIXES:
        raise DataError(
            f"{path} is of an unknown kind; it must be one of {', '.join(SUFFIXES)}, "
            "or one of these with .gz."
        )
    return found.lower()


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Returns the text of a file.

    Raises:
        DataError: it is empty, or no text.
    """
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            data: bytes = file.read()
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read ({reason}).") from error
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise ConfigError(f"There is no encoding {encoding!r}; mostly it is utf-8.") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line} is not {encoding}: byte {error.start} is "
            f"0x{data[error.start]:02x}; convert the file, or set data.encoding."
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}, line {line} has a NUL byte: this is not a text file.")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text or text.isspace():
        raise DataError(f"{path} {'holds only blank lines' if text else 'is empty'}.")
    return text


def read_records(path: Path, encoding: str = "utf-8") -> Iterator[Record]:
    """Yields the records of a .jsonl, .json, .csv, .tsv or .parquet file.

    Raises:
        DataError: something in it cannot be read, or there is nothing.
    """
    empty = True
    for record in _records(path, suffix(path), encoding):
        empty = False
        yield record
    if empty:
        raise DataError(f"{path} has no rows.")


def _records(path: Path, kind: str, encoding: str) -> Iterator[Record]:
    if kind == ".txt":
        raise DataError(
            f"{path} has no columns; give a .csv, .tsv, .jsonl, .json or .parquet file."
        )
    if kind == ".parquet":
        yield from _parquet(path)
        return
    text = read_text(path, encoding)
    if kind in (".csv", ".tsv"):
        yield from _table(path, text, "," if kind == ".csv" else "\t")
    elif kind == ".jsonl":
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                where = f"{path}, line {number}"
                yield where, _mapping(where, _json(where, line))
    else:
        rows = _json(str(path), text)
        if not isinstance(rows, list):
            raise DataError(f"{path} must be a list of objects, but is {_kind(rows)}.")
        for number, row in enumerate(rows, start=1):
            where = f"{path}, row {number}"
            yield where, _mapping(where, row)


def _json(where: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(where, pairs))
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if "line" not in where else ""
        raise DataError(
            f"{where}{line}, column {error.colno} is broken JSON: {error.msg}."
        ) from error
    except RecursionError as error:
        raise DataError(f"{where} is broken JSON: it is nested too deeply.") from error


def _unique(where: str, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DataError(f"{where} has the key {key!r} twice; keep one.")
        found[key] = value
    return found


def _mapping(where: str, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{where} must be an object such as {{'text': ...}}, but is {_kind(row)}.")
    return row


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "text", type(None): "null"}.get(
        type(value), f"the value {value!r}"
    )


def _table(path: Path, text: str, delimiter: str) -> Iterator[Record]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True)
    begin = 1
    header: list[str] | None = None
    try:
        for row in reader:
            where, begin = f"{path}, line {begin}", reader.line_num + 1
            if not row:
                continue
            if header is None:
                header = [name.strip() for name in row]
                twice = next((name for name in header if header.count(name) > 1), None)
                if twice is not None:
                    raise DataError(f"{where} names the column {twice!r} twice; rename one.")
            elif len(row) != len(header):
                raise DataError(
                    f"{where} has {len(row)} columns, but the header has {len(header)}; "
                    "put quotes around text that holds the separator."
                )
            else:
                yield where, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise DataError(
            f"{path}, line {begin} cannot be read: {error}; is a quote left open?"
        ) from error


def _parquet(path: Path) -> Iterator[Record]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise DataError(
            f"{path} needs pyarrow to be read; install it with pip install 'lightformer[parquet]'."
        ) from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for block in file.iter_batches(batch_size=1024):
                for row in block.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except (ArrowException, OSError) as error:
        raise DataError(
            f"{path} is no whole Parquet file ({' '.join(str(error).split())})."
        ) from error


def column(where: str, record: Mapping[str, Any], name: str) -> Any:
    """Returns the value of a column.

    Raises:
        DataError: there is no such column.
    """
    if name not in record:
        raise DataError(
            f"{where} has no {name!r}.{did_you_mean(name, map(str, record), 'Columns')}"
        )
    return record[name]


def text_column(where: str, record: Mapping[str, Any], name: str) -> str:
    """Returns the text of a column.

    Raises:
        DataError: there is no such column, or what it holds is not text.
    """
    value = column(where, record, name)
    if not isinstance(value, str):
        raise DataError(f"{where} must have text in {name!r}, but has {_kind(value)}.")
    return value
