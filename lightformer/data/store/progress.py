"""How the writing of a store goes: a bar where someone watches, one line at the end where it took long."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from lightformer.data.folders import say

if TYPE_CHECKING:
    from lightformer.data.reading import Reading

SOON = 2.0
"""Seconds; nothing is said of what is done sooner."""


class Bar(tqdm):  # type: ignore[misc]
    """A bar of this process alone: the lock that bars of several share outlives a process that is killed with it."""

    monitor_interval = 0


Bar.set_lock(threading.RLock())


class Progress:
    """Shows how much of the sources is read, and how fast tokens are made.

    Args:
        name: of what is written
        reading: how far it is read; where there is none, documents are counted
        target: where it is written
    """

    def __init__(self, name: str, reading: Reading | None, target: Path) -> None:
        self.name = name
        self.reading = reading
        self.target = target
        self._begin = time.monotonic()
        self._documents = self._tokens = 0
        self._before: int | None = None  # tokens of an earlier run

    def __enter__(self) -> Progress:
        bytes_ = self.reading is not None
        self._bar: Any = Bar(
            total=self.reading.total_bytes if self.reading is not None else None,
            desc=f"preparing {self.name}",
            unit="B" if bytes_ else " documents",
            unit_scale=bytes_,
            delay=SOON,
            leave=False,
            disable=None,  # where standard error is no terminal
        )
        return self

    def show(self, documents: int, tokens: int) -> None:
        """Takes what is written by now."""
        self._documents, self._tokens = documents, tokens
        speed = tokens / max(time.monotonic() - self._begin, 1e-3)
        self._bar.set_postfix_str(f"{speed:,.0f} tokens/s", refresh=False)
        done = self.reading.bytes_read if self.reading is not None else documents
        self._bar.update(done - self._bar.n)

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        seconds = time.monotonic() - self._begin
        rows = self.reading.skipped if self.reading is not None else 0
        if kind is None and (rows or seconds >= SOON):
            say(
                f"prepared {self.name}: {self._documents:,} documents, {self._tokens:,} tokens, "
                f"{f'{rows:,} rows skipped, ' if rows else ''}in {seconds:.1f} s -> {self.target}"
            )
