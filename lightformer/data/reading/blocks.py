"""The text of a file, a block at a time, so that a file of any size is read in little memory."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from lightformer.data.reading.faults import Reading
from lightformer.errors import ConfigError, DataError

BLOCK = 1 << 17
"""Bytes that are read at a time, which is what zstd packs at a time."""

HELD = 1 << 16
"""Characters of a line, at most, that wait for its end: a line with a fault in it is left out whole."""


def check_encoding(encoding: str) -> None:
    """Refuses an encoding that there is not.

    Raises:
        ConfigError: Python knows no such encoding of text.
    """
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    except (LookupError, ValueError) as error:
        raise ConfigError(f"There is no encoding {encoding!r}; mostly it is utf-8.") from error


def text_blocks(path: Path, reading: Reading) -> Iterator[str]:
    """Yields the text of a file in blocks, without a byte order mark and with one kind of line end.

    Raises:
        DataError: it is empty, or no text, or cannot be read further; the lines before that were given.
    """
    lack, held = "is empty", ""
    for text in _texts(path, reading):
        if lack:
            lack = "holds only blank lines" if text.isspace() else ""
        text = held + text
        whole = text.rfind("\n") + 1
        if len(text) - whole > HELD:
            whole = len(text)
        if whole:
            yield text[:whole]
        held = text[whole:]
    if held:
        yield held
    if lack:
        raise DataError(f"{path} {lack}.")


def _texts(path: Path, reading: Reading) -> Iterator[str]:
    """Yields what a file holds as text, up to the very character that is faulty."""
    decoder = codecs.getincrementaldecoder(reading.encoding)()
    ends = io.IncrementalNewlineDecoder(None, translate=True)
    line, done, begun = 1, 0, False
    try:
        for block in chain(_blocks(path, reading), [b""]):
            text, fault = _decoded(decoder, block, done, reading.encoding)
            text = ends.decode(text, final=not block or fault != "")
            if text and not begun:
                text, begun = text.removeprefix("\ufeff"), True
            line += text.count("\n")
            done += len(block)
            if text:
                yield text
            if fault:
                raise DataError(f"{path}, line {line} {fault}")
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        if not done:
            raise DataError(f"{path} cannot be read ({reason}).") from error
        raise DataError(
            f"{path} can be read up to line {line} only ({reason}); copy it anew."
        ) from error


def _blocks(path: Path, reading: Reading) -> Iterator[bytes]:
    """Yields what a file holds, or held before it was compressed."""
    before = reading.bytes_read
    with path.open("rb") as file:
        state = _state(file)
        with _decompressed(path, file) as content:
            while block := content.read1(BLOCK):
                reading.bytes_read = before + file.tell()
                yield block
            if _state(file) != state:
                raise DataError(f"{path} changed while it was read; start again when it rests.")


def _state(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _decompressed(path: Path, file: BinaryIO) -> Any:
    if path.suffix.lower() == ".gz":
        return gzip.GzipFile(fileobj=file)
    if path.suffix.lower() == ".zst":
        import pyarrow

        return pyarrow.CompressedInputStream(file, "zstd")
    return file


def _decoded(
    decoder: codecs.IncrementalDecoder, block: bytes, done: int, encoding: str
) -> tuple[str, str]:
    """Returns a block as text, as far as it is text, and what is wrong with what comes next.

    Args:
        decoder: knows the end of the last block
        block: what to decode; nothing, at the end
        done: number of bytes before the block
        encoding: for the message
    """
    state, fault = decoder.getstate(), ""
    try:
        text = decoder.decode(block, final=not block)
    except UnicodeDecodeError as error:
        byte = done + len(block) - len(error.object) + error.start
        fault = (
            f"is not {encoding}: byte {byte} is 0x{error.object[error.start]:02x}; "
            "convert the file, or set data.encoding."
        )
        decoder.setstate(state)
        text = decoder.decode(block[: max(0, byte - done)])
    except UnicodeError:
        return "", f"is not {encoding}: it has no mark; set data.encoding to {encoding}-le."
    if "\0" in text:
        decoder.setstate(state)
        letters = (decoder.decode(block[i : i + 1]) for i in range(len(block)))
        byte = done + next(i for i, letter in enumerate(letters) if "\0" in letter)
        fault = f"has a NUL byte (byte {byte}): this is not a text file."
        text = text[: text.index("\0")]
    return text, fault
