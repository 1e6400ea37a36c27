"""The lines of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lightformer.data.reading.blocks import LOST, text_blocks
from lightformer.data.reading.faults import Reading
from lightformer.errors import DataError

LONGEST = 1 << 26
"""Characters of a row, at most: a row is held in memory, while the text of a .txt file is not."""


def lines(path: Path, reading: Reading, faulty: dict[int, DataError]) -> Iterator[str]:
    """Yields each line of a file, without its end.

    Args:
        path: of the file
        reading: how it is read
        faulty: takes for each line that cannot be used what is wrong with it, before the line is given

    Raises:
        DataError: the file cannot be read, or a line is too long and faults stop the reading.
    """
    number, length = 1, 0
    begun: list[str] = []
    for block in text_blocks(path, reading, faulty):
        *whole, rest = block.split("\n")
        for line in whole:
            yield "".join([*begun, line])
            number, length, begun = number + 1, 0, []
        begun.append(rest)
        length += len(rest)
        if length > LONGEST:
            fault = DataError(
                f"{path}, line {number} is longer than {LONGEST:,} characters, which a row may "
                "have; cut it into several, or write the text to a .txt file."
            )
            if reading.on_error == "stop":
                raise fault
            faulty.setdefault(number, fault)
            begun = [LOST]
    if length:
        yield "".join(begun)
