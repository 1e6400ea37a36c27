"""A file that only grows, and the digest of all that is in it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_BLOCK = 1 << 22


class State(NamedTuple):
    """How long a file is, in bytes, and the digest of that."""

    size: int
    digest: str


class GrowingFile:
    """Appends to a file. What it held before counts only once it was confirmed."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file: BinaryIO = path.open("r+b", buffering=0)
        self._digest = blake2b(digest_size=16)
        self.size = 0
        self._ahead: tuple[int, Any] = (0, self._digest)

    @property
    def state(self) -> State:
        """What is in it by now."""
        return State(self.size, self._digest.hexdigest())

    def append(self, data: Any) -> None:
        """Adds bytes, or an array."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self.size += len(view)
        while view:
            view = view[self._file.write(view) :]

    def holds(self, state: State) -> bool:
        """Whether the file begins with this; `confirm` makes it what is in it."""
        ahead = self._digest.copy()
        self._file.seek(self.size)
        for block in blocks(self._file, state.size - self.size):
            ahead.update(block)
        self._ahead = self._file.tell(), ahead
        return State(self._file.tell(), ahead.hexdigest()) == state

    def confirm(self) -> None:
        """Takes over what `holds` was last asked for."""
        self.size, self._digest = self._ahead

    def cut(self) -> None:
        """Drops what comes after what is known, so that the next bytes follow that."""
        self._file.truncate(self.size)
        self._file.seek(self.size)

    def close(self) -> None:
        self._file.close()


def blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yields the next bytes of a file, in blocks of a few megabytes."""
    while size > 0 and (block := file.read(min(size, _BLOCK))):
        size -= len(block)
        yield block


def state_of(path: Path) -> State:
    """Returns what is in a file."""
    digest, size = blake2b(digest_size=16), path.stat().st_size
    with path.open("rb") as file:
        for block in blocks(file, size):
            digest.update(block)
    return State(size, digest.hexdigest())
