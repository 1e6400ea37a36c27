"""The journal of a store in work: killed at any moment, the writing goes on.

Its first line says what is written; the others say, each after a shard, how long every file is by then, and the digest
of all that is in it. Each line has a digest of its own. What comes after the last line that holds true is cut off. So
nothing needs to be synced before the end: what a loss of power leaves unwritten is seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lightformer.data.store.growing import GrowingFile, State
from lightformer.data.store.layout import SHARDS, digest_of
from lightformer.data.store.shards import START, Place


class Noted(NamedTuple):
    """What was whole after a shard.

    Args:
        place: how far the documents had been read
        begun: whether the document that is read there has tokens already
        files: what was in each file
    """

    place: Place = START
    begun: bool = False
    files: Mapping[str, State] = {}


class Journal:
    """The files of a store in work.

    Args:
        folder: where they are
        plan: what is written; what was begun with another plan is dropped

    Attributes:
        last: the last shard that is whole
    """

    def __init__(self, folder: Path, plan: Mapping[str, Any]) -> None:
        self.folder = folder
        self.last = Noted()
        self._files: dict[str, GrowingFile] = {}
        values = list(_values(folder / SHARDS))
        whole = values[: 1 + self._whole(values[1:])] if values[:1] == [plan] else []
        self._cut()
        self._journal = (folder / SHARDS).open("ab", buffering=0)
        self._journal.truncate(sum(len(_line(value)) for value in whole))
        if not whole:
            self._write(plan)

    def _whole(self, notes: list[Any]) -> int:
        """Takes over the shards that are as they were noted, and returns how many these are."""
        for number, (place, begun, states) in enumerate(notes):
            files = {name: State(*state) for name, state in states.items()}
            if not all(self[name].holds(state) for name, state in files.items()):
                return number
            for name in files:
                self[name].confirm()
            self.last = Noted(Place(*place), begun, files)
        return len(notes)

    def _cut(self) -> None:
        """Drops all that comes after the last whole shard."""
        for path in self.folder.iterdir():
            if path.name in self.last.files:
                self[path.name].cut()
            elif path.name != SHARDS:
                self._files.pop(path.name, None)
                path.unlink()

    def __getitem__(self, name: str) -> GrowingFile:
        """Returns a file, which is made when it is first asked for."""
        if name not in self._files:
            self._files[name] = GrowingFile(self.folder / name)
        return self._files[name]

    @property
    def states(self) -> dict[str, State]:
        """What is in each file by now."""
        return {name: self._files[name].state for name in sorted(self._files)}

    def note(self, place: Place, begun: bool) -> None:
        """Says that a shard is written."""
        self.last = Noted(place, begun, self.states)
        self._write(self.last)

    def _write(self, value: Any) -> None:
        self._journal.write(_line(value))

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._journal.close()


def plan_of(folder: Path) -> dict[str, Any] | None:
    """Returns what is written in a folder, as far as that was noted."""
    return next(_values(folder / SHARDS), None)


def _line(value: Any) -> bytes:
    return json.dumps([digest_of(value), value]).encode() + b"\n"


def _values(path: Path) -> Iterator[Any]:
    """What the lines of a journal say, if there is one, up to the first that is not as it was written."""
    if path.is_file():
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                _, value = json.loads(line)
            except (ValueError, TypeError):
                return
            if line != _line(value):
                return
            yield value
