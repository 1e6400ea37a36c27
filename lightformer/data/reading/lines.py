"""The lines of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lightformer.data.reading.blocks import LOST, text_blocks
from lightformer.data.reading.faults import Reading
from lightformer.errors import DataError

LONGEST = 1 << 26
"""Characters of a row, at most: a row is held in memory, while the text of a .txt file is not."""


Line = tuple[int, str, DataError | None]
"""Its number, what stands in it, without its end, and what is wrong with it."""


def lines(path: Path, reading: Reading) -> Iterator[Line]:
    """Yields each line of a file.

    Raises:
        DataError: the file cannot be read, or a line is too long and faults stop the reading.
    """
    number, length = 1, 0
    begun: list[str] = []
    fault: DataError | None = None
    for block in text_blocks(path, reading):
        if isinstance(block, DataError):
            fault = fault or block
            continue
        *whole, rest = block.split("\n")
        for line in whole:
            yield number, "".join([*begun, line]), fault
            number, length, begun, fault = number + 1, 0, [], None
        begun.append(rest)
        length += len(rest)
        if length > LONGEST:
            fault = fault or too_long(f"{path}, line {number}")
            if reading.on_error == "stop":
                raise fault
            begun = [LOST]
    if length:
        yield number, "".join(begun), fault


def too_long(where: str) -> DataError:
    """Says that a row is longer than it may be."""
    return DataError(
        f"{where} is longer than {LONGEST:,} characters, which a row may have; cut it into several, "
        "or write the text to a .txt file."
    )
