"""Names for what data holds, remembered where it is large."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightformer.errors import DataError

_MEMORY = "digests.json"
_SETTLED = 2.0  # seconds after which a file that is written again has another time


def digest(*parts: Any) -> str:
    """Returns a short name for plain data: equal data, equal name."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Returns a short name for what a file holds.

    Raises:
        DataError: it cannot be read.
    """
    state = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                state.update(block)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    return state.hexdigest()


def file_digests(paths: Sequence[str], cache_dir: Path | None) -> dict[str, str]:
    """Returns a short name for what each file holds.

    They are remembered with the stamp of the file, so that a large one is read only once.

    Args:
        paths: the files
        cache_dir: folder for `digests.json`, which may be lost, torn or old; where there is none, all files are read

    Raises:
        DataError: a file cannot be read.
    """
    memory = {} if cache_dir is None else _recall(cache_dir / _MEMORY)
    known = dict(memory)
    found: dict[str, str] = {}
    for name in paths:
        key, before = str(Path(name).resolve()), stamp(name)
        remembered = known.get(key)
        if remembered is not None and remembered[:-1] == before:
            found[name] = remembered[-1]
            continue
        found[name] = file_digest(Path(name))
        known.pop(key, None)
        if before == stamp(name) and time.time() - before[-1] / 1e9 > _SETTLED:
            known[key] = [*before, found[name]]
    if cache_dir is not None and known != memory:
        _remember(cache_dir, known)
    return found


def stamp(name: str) -> list[int]:
    """Returns what is another when a file has changed: its size, its inode, and its times.

    The time of the content can be set to any, as by `cp -p` and `tar`; that of the last change, which is the last one
    here, cannot.

    Raises:
        DataError: there is no such file.
    """
    try:
        status = os.stat(name)
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror}).") from error
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def check_unchanged(stamps: Mapping[str, Sequence[int]]) -> None:
    """Compares files with their stamps of before.

    Raises:
        DataError: one has changed.
    """
    for name, before in stamps.items():
        if stamp(name) != before:
            raise DataError(f"{name} changed while it was read; run again when it rests.")


def _recall(path: Path) -> dict[str, list[Any]]:
    try:
        memory = json.loads(path.read_text(encoding="utf-8"))
        return {str(k): [*map(int, v[:-1]), str(v[-1])] for k, v in memory.items()}
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return {}


def _remember(cache_dir: Path, memory: dict[str, list[Any]]) -> None:
    """Writes the memory at once; where it cannot be written, the files are read again."""
    with suppress(OSError):
        cache_dir.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{_MEMORY}.", dir=cache_dir)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(memory, file, indent=0)
            os.replace(name, cache_dir / _MEMORY)
        except BaseException:
            os.unlink(name)
            raise
