"""Folders that are whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightformer.errors import StorageError


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Gives a folder to fill; it becomes `target` at once, when it is whole.

    If another process was faster, its folder stays, and the caller reads that one.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        yield folder
        folder.chmod(0o755)
        os.rename(folder, target)
    except OSError as error:
        if not target.is_dir():
            raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unwritable(target: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{target} cannot be written ({error.strerror or error}); set data.cache_dir to a folder "
        "that can."
    )


def digest(*parts: Any) -> str:
    """Returns a short name for plain data: equal data, equal name."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Returns a short name for what a file holds."""
    state = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            state.update(block)
    return state.hexdigest()
