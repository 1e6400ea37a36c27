"""Processes that are killed, and what they leave."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def contents(folder: Path) -> dict[str, bytes | dict[str, object]]:
    """Every file of a folder; what says when it was made is left out."""
    found: dict[str, bytes | dict[str, object]] = {p.name: p.read_bytes() for p in folder.iterdir()}
    if "meta.json" in found:
        meta = json.loads(str(found["meta.json"], "utf-8"))  # type: ignore[arg-type]
        del meta["made"], meta["digest"]
        found["meta.json"] = meta
    return found


def begin(run: Callable[[], None]) -> int:
    """Runs it in a process of its own, which leads a group."""
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        run()
        os._exit(0)
    finally:
        os._exit(1)


def alive(group: int) -> bool:
    """Whether a process of a group is at work; one that has ended and waits to be noticed is not."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of = file.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state not in "ZX":
                return True
    return False


def killed(child: int) -> bool:
    """Waits for it; whether it was killed."""
    _, status = os.waitpid(child, 0)
    begun = time.monotonic()
    while alive(child):
        assert time.monotonic() - begun < 30
        time.sleep(0.001)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)
