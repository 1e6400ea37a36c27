"""The rows of .csv and .tsv files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from lightformer.data.reading.faults import Reading
from lightformer.data.reading.lines import LONGEST, lines
from lightformer.data.reading.rows import Row, check_columns
from lightformer.errors import DataError


def comma_rows(path: Path, reading: Reading) -> Iterator[Row]:
    """Yields the rows of a .csv file."""
    return _rows(path, reading, ",")


def tab_rows(path: Path, reading: Reading) -> Iterator[Row]:
    """Yields the rows of a .tsv file."""
    return _rows(path, reading, "\t")


def _rows(path: Path, reading: Reading, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
    faults: list[DataError] = []  # of the lines of a row

    def text() -> Iterator[str]:
        for _, line, fault in lines(path, reading):
            if fault is not None:
                faults.append(fault)
            yield line + "\n"

    table = csv.reader(text(), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        first, fault = table.line_num + 1, None
        where = f"{path}, line {first}"
        try:
            row = next(table, None)
        except csv.Error as error:
            row, fault = [], _broken(where, error, table.line_num - first)
        fault = fault or next(iter(faults), None)
        faults.clear()
        if fault is not None:
            if header is None:
                raise fault
            reading.fault(fault)
            continue
        if row is None:
            return
        if not row:
            continue
        if header is None:
            header = [name.strip() for name in row]
            check_columns(where, header)
        elif len(row) != len(header):
            reading.fault(
                DataError(
                    f"{where} has {len(row)} columns, but the header has {len(header)}; "
                    "put quotes around text that holds the separator."
                )
            )
        else:
            yield where, dict(zip(header, row, strict=True))


def _broken(where: str, error: csv.Error, more: int) -> DataError:
    """Names a row that is none, and how much was taken to be of it."""
    taken = f"the next {more:,} lines are" if more > 1 else "the next line is"
    extent = f" Then {taken} part of it." if more else ""
    return DataError(f"{where} cannot be read: {error}; is a quote left open?{extent}")
