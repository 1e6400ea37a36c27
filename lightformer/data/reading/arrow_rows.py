"""The rows of .parquet files, and of the .arrow files in which the datasets library saves data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lightformer.data.reading import lines
from lightformer.data.reading.faults import Reading
from lightformer.data.reading.rows import Row, check_columns
from lightformer.errors import DataError


def parquet_rows(path: Path, reading: Reading) -> Iterator[Row]:
    """Yields the rows of a .parquet file; a value is held in memory whole, however long it is.

    Raises:
        DataError: the file itself says that rows are too long on the average, before one is held; or it is not whole.
    """
    return _rows(path, reading, "Parquet", _parquet_blocks)


def arrow_rows(path: Path, reading: Reading) -> Iterator[Row]:
    """Yields the rows of an .arrow file."""
    return _rows(path, reading, "Arrow", _arrow_blocks)


_BLOCK = 1 << 23
"""Bytes of the rows that are unpacked at a time, about."""

_WIDEST = 4
"""Bytes of a character, at most."""

Blocks = Iterator[tuple[Any, int]]
"""Some rows, and how many bytes of the file were read for them and those before."""


def _rows(
    path: Path, reading: Reading, kind: str, blocks: Callable[[BinaryIO, int], Blocks]
) -> Iterator[Row]:
    from pyarrow import ArrowException

    number, before = 0, reading.bytes_read
    try:
        with path.open("rb") as file:
            for block, done in blocks(file, path.stat().st_size):
                check_columns(str(path), block.schema.names)
                reading.bytes_read = before + done
                for row in _without_times(block).to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except DataError:
        raise
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{path} is no whole {kind} file ({reason}).") from error


def _without_times(block: Any) -> Any:
    """Leaves out columns of times, which are neither text nor a class, and of which Python cannot hold all."""
    from pyarrow import types

    fields = list(block.schema)
    return block.select([field.name for field in fields if not types.is_temporal(field.type)])


def _parquet_blocks(file: BinaryIO, size: int) -> Blocks:
    from pyarrow import parquet

    # Without a buffer of a fixed size a whole group of rows is read at once, which may be the whole file.
    with parquet.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as table:
        rows, done = max(1, table.metadata.num_rows), 0
        groups = list(map(table.metadata.row_group, range(table.metadata.num_row_groups)))
        for number, group in enumerate(groups, start=1):
            if group.total_byte_size > _WIDEST * lines.LONGEST * max(1, group.num_rows):
                raise lines.too_long(f"{file.name}, a row of row group {number}")
        each = sum(group.total_byte_size for group in groups) // rows  # bytes of a row, unpacked
        for block in table.iter_batches(batch_size=max(1, min(1024, _BLOCK // max(1, each)))):
            done += block.num_rows
            yield block, size * done // rows


def _arrow_blocks(file: BinaryIO, size: int) -> Blocks:
    from pyarrow import ipc

    with ipc.open_stream(file) as table:
        for block in table:
            yield block, min(size, file.tell())
