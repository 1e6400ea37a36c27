"""The rows and the texts of whatever has a name: a file of any kind, or a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lightformer.data.reading.arrow_rows import arrow_rows, parquet_rows
from lightformer.data.reading.documents import documents
from lightformer.data.reading.faults import Reading
from lightformer.data.reading.hub import HUB, hub_rows
from lightformer.data.reading.json_rows import json_lines, json_list
from lightformer.data.reading.names import kind_of
from lightformer.data.reading.rows import Needed, Row, text_column
from lightformer.data.reading.table_rows import comma_rows, tab_rows
from lightformer.errors import DataError

_READERS = {
    ".jsonl": json_lines,
    ".json": json_list,
    ".csv": comma_rows,
    ".tsv": tab_rows,
}
_TABLES = {".parquet": parquet_rows, ".arrow": arrow_rows}


def read_rows(name: str, reading: Reading, needed: Needed = None) -> Iterator[Row]:
    """Yields the rows of a file or a data set.

    Args:
        name: of the file or the data set
        reading: how it is read
        needed: the columns that are needed, where it is not all: of some kinds of files others are not read

    Raises:
        DataError: something in it cannot be read, or there is nothing; where faults stop the reading.
    """
    return reading.until_fault(_rows(name, reading, needed))


def _rows(name: str, reading: Reading, needed: Needed) -> Iterator[Row]:
    if name.startswith(HUB):
        yield from hub_rows(name, needed)
        return
    path, skipped, row = Path(name), reading.skipped, None
    kind = kind_of(path)
    if kind in _TABLES:
        rows = _TABLES[kind](path, reading, needed)
    elif kind in _READERS:
        rows = _READERS[kind](path, reading)
    else:
        raise DataError(
            f"{path} has no columns; give a .csv, .tsv, .jsonl, .json or .parquet file."
        )
    for row in rows:
        yield row
    if row is None and reading.skipped == skipped:
        raise DataError(f"{path} has no rows.")


def read_texts(
    name: str, reading: Reading, text: str, separator: str | None
) -> Iterator[Iterable[str]]:
    """Yields the documents of a file or a data set in blocks; read one to its end before the next.

    Args:
        name: of the file or the data set
        reading: how it is read
        text: the column that holds the text, where there are columns
        separator: stands between two documents of a .txt file, where it has several

    Raises:
        DataError: something in it cannot be read, or there is nothing; where faults stop the reading.
    """
    if not name.startswith(HUB) and kind_of(Path(name)) == ".txt":
        return documents(Path(name), separator, reading)
    found = reading.each(lambda row: text_column(*row, text), read_rows(name, reading, [text]))
    return ([text] for text in found if text and not text.isspace())
