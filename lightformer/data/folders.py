"""Folders that are whole or not there, made by one process at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lightformer.errors import LightformerError, StorageError

CACHE = "set data.cache_dir to a folder"


def say(sentence: str) -> None:
    """Prints a line on standard error."""
    print(sentence, file=sys.stderr, flush=True)


@contextmanager
def claim(target: Path, way_out: str = CACHE) -> Iterator[Path | None]:
    """Gives a folder to fill, to this process alone; it becomes `target` at once, when it is whole.

    A process that comes meanwhile waits. What an error leaves in the folder stays for the next one.

    Yields:
        The folder, or None where `target` is there, be it that another process has just made it.

    Raises:
        StorageError: the folder cannot be written.
    """
    partial = partial_of(target)
    with writing(target, way_out):
        lock = _lock(target, partial)
    if lock is None:
        yield None
        return
    try:
        yield partial
        with writing(target, way_out):
            for path in partial.iterdir():
                _sync(path)
            _sync(partial)
            partial.rename(target)
            _sync(target.parent)
    finally:
        os.close(lock)


@contextmanager
def publish(target: Path, way_out: str = CACHE) -> Iterator[Path | None]:
    """Gives an empty folder to fill, as `claim` does; of an error nothing is left."""
    with claim(target, way_out) as folder:
        if folder is None:
            yield None
            return
        try:
            for path in folder.iterdir():
                path.unlink()
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def made_once(file: Path, make: Callable[[], str]) -> Path:
    """Returns a text file that is alone in its folder; it is made where it is not there yet.

    What was begun beside it, and nobody is at work on, is dropped: it cannot be gone on with.
    """
    folder = file.parent
    if not folder.is_dir():
        with publish(folder) as new:
            if new is not None:
                for begun in set(folder.parent.glob(".*.partial")) - {new}:
                    drop(begun)
                text = make()
                with writing(folder):
                    (new / file.name).write_text(text, encoding="utf-8")
    return file


def is_taken(target: Path) -> bool:
    """Whether something has this name already.

    Raises:
        StorageError: nothing can have it.
    """
    try:
        target.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:  # too long, or with a NUL in it
        reason = getattr(error, "strerror", None) or error
        raise StorageError(
            f"{target} cannot be written ({reason}); give it another name."
        ) from error
    return True


def partial_of(target: Path) -> Path:
    """Returns the folder that becomes `target` when it is whole."""
    return target.with_name(f".{target.name}.partial")


def drop(partial: Path) -> bool:
    """Removes a folder that nobody fills; returns whether it is gone."""
    try:
        handle = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(partial)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _lock(target: Path, partial: Path) -> int | None:
    """Locks the folder itself, so that no other file has to be left or removed."""
    waits = False
    while not target.is_dir():
        partial.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # another process has just finished
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waits:
                say(f"waiting for another process, which makes {target}")
            waits = True
            fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), partial.stat()):
                return handle
        os.close(handle)
    return None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(target: Path, way_out: str = CACHE) -> Iterator[None]:
    """Says in a sentence what the disk refuses, and what to do then.

    Raises:
        StorageError: something cannot be written.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, LightformerError):
            raise
        raise StorageError(
            f"{target} cannot be written ({error.strerror or error}); {way_out} that can."
        ) from error
