"""The rows of .parquet files, and of the .arrow files in which the datasets library saves data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from lightformer.data.reading import lines
from lightformer.data.reading.faults import Reading
from lightformer.data.reading.rows import Needed, Row, check_columns
from lightformer.errors import DataError


def parquet_rows(path: Path, reading: Reading, needed: Needed) -> Iterator[Row]:
    """Yields the rows of a .parquet file; a value is held in memory whole, however long it is.

    Raises:
        DataError: the file itself says that rows are too long on the average, before one is held; or it is not whole.
    """
    return _rows(path, reading, needed, "Parquet", _parquet_blocks)


def arrow_rows(path: Path, reading: Reading, needed: Needed) -> Iterator[Row]:
    """Yields the rows of an .arrow file."""
    return _rows(path, reading, needed, "Arrow", _arrow_blocks)


_BLOCK = 1 << 23
"""Bytes of the rows that are unpacked at a time, about."""

_WIDEST = 4
"""Bytes of a character, at most."""

Blocks = Iterator[tuple[Sequence[str], Any, int]]
"""All columns, some rows of those that are needed, and how many bytes of the file were read for these and before."""


def _rows(
    path: Path,
    reading: Reading,
    needed: Needed,
    kind: str,
    blocks: Callable[[BinaryIO, int, Needed], Blocks],
) -> Iterator[Row]:
    from pyarrow import ArrowException

    number, before = 0, reading.bytes_read
    try:
        with path.open("rb") as file:
            for names, block, done in blocks(file, path.stat().st_size, needed):
                reading.bytes_read = before + done
                columns = dict(zip(block.schema.names, block.columns, strict=True))
                for place in range(block.num_rows):
                    number += 1
                    where, row = f"{path}, row {number}", dict.fromkeys(names)
                    row |= {name: _value(where, name, columns[name][place]) for name in columns}
                    yield where, row
    except DataError:
        raise
    except (ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{path} is no whole {kind} file ({reason}).") from error


def _value(where: str, name: str, value: Any) -> Any:
    """Returns a value of a table as one of Python, or what is wrong with it."""
    try:
        return value.as_py()
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is 0x{error.object[error.start]:02x}"
        return DataError(f"{where} is not utf-8 in {name!r}: {what}; convert the file.")
    except (ValueError, OverflowError, LookupError) as error:  # mostly of a time
        reason = " ".join(str(error).split())
        return DataError(f"{where} has in {name!r} what cannot be read ({reason}).")


def _there(file: BinaryIO, names: list[str], needed: Needed) -> list[str]:
    """Returns which of the columns that are there are needed."""
    check_columns(file.name, names)
    return [name for name in names if needed is None or name in needed]


def _parquet_blocks(file: BinaryIO, size: int, needed: Needed) -> Blocks:
    from pyarrow import parquet

    # Without a buffer of a fixed size a whole group of rows is read at once, which may be the whole file.
    with parquet.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as table:
        rows, done, total = max(1, table.metadata.num_rows), 0, 0
        names = table.schema_arrow.names
        there = _there(file, names, needed)
        groups = map(table.metadata.row_group, range(table.metadata.num_row_groups))
        for number, group in enumerate(groups, start=1):
            unpacked = _unpacked(group, there)
            if unpacked > _WIDEST * lines.LONGEST * max(1, group.num_rows):
                raise lines.too_long(f"{file.name}, a row of row group {number}")
            total += unpacked
        at_once = max(1, min(1024, _BLOCK // max(1, total // rows)))
        for block in table.iter_batches(batch_size=at_once, columns=there):
            done += block.num_rows
            yield names, block, size * done // rows


def _unpacked(group: Any, names: list[str]) -> int:
    """The bytes of some columns of a group of rows; one that is nested is kept as several, such as `a.b`."""
    parts = map(group.column, range(group.num_columns))
    return sum(
        part.total_uncompressed_size
        for part in parts
        if any(f"{part.path_in_schema}.".startswith(f"{name}.") for name in names)
    )


def _arrow_blocks(file: BinaryIO, size: int, needed: Needed) -> Blocks:
    from pyarrow import ipc

    names = ipc.read_schema(file).names
    fields = [names.index(name) for name in _there(file, names, needed)]
    file.seek(0)
    with ipc.open_stream(file, options=ipc.IpcReadOptions(included_fields=fields)) as table:
        for block in table:
            yield names, block, min(size, file.tell())
