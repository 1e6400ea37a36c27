"""What one reading of files carries with it: how to read, how far it came, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from lightformer.errors import DataError

OnError = Literal["stop", "skip"]

Item = TypeVar("Item")
Made = TypeVar("Made")

_SHOWN = 20


@dataclass
class Reading:
    """One reading of some files.

    Args:
        encoding: how text is encoded
        on_error: what happens at a fault
        total_bytes: size of all files on disk, where it is known
        skipped: how many rows and files were left out
        first: what was wrong with the first of them
        bytes_read: how much of the files on disk was read so far
    """

    encoding: str = "utf-8"
    on_error: OnError = "stop"
    total_bytes: int | None = None
    skipped: int = 0
    first: list[str] = field(default_factory=list)
    bytes_read: int = 0

    def restart(self) -> None:
        """Begins anew, with nothing read and nothing left out."""
        self.skipped, self.first, self.bytes_read = 0, [], 0

    def fault(self, error: DataError) -> None:
        """Takes a fault: stops there, or counts it.

        Raises:
            DataError: the fault, where `on_error` is stop.
        """
        if self.on_error == "stop":
            raise error
        self.skipped += 1
        if len(self.first) < _SHOWN:
            self.first.append(str(error))

    def each(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """Yields what is made of each item, but for those that have a fault."""
        for item in items:
            try:
                made = make(item)
            except DataError as error:
                self.fault(error)
            else:
                yield made

    def until_fault(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yields items until they cannot be read further."""
        try:
            yield from items
        except DataError as error:
            self.fault(error)
