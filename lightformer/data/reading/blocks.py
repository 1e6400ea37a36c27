"""The text of a file, a block at a time, so that a file of any size is read in little memory."""

from __future__ import annotations

import codecs
import gzip
import io
import re
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


_MARK = "lightformer.mark"
"""Names what the decoders do at bytes that are no text."""

_FAULT = re.compile("\0|\udc00(..)([0-9]+)\udc01")
LOST = "\N{REPLACEMENT CHARACTER}"
"""Stands for what is lost of a line with a fault."""

_HALVES = (b"+2AA-\n", b"\\ud800\n")
"""Half a character, in the encodings that have such; with the other half it could be taken for the mark of a fault."""


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Puts into the text what the first byte is that is none, and how many bytes are left from there on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    left = len(error.object) - error.start
    return f"\udc00{error.object[error.start]:02x}{left}\udc01", error.end


codecs.register_error(_MARK, _mark)


def check_encoding(encoding: str) -> None:
    """Refuses what is no encoding of whole characters, or one in which a file cannot be read a block at a time.

    Raises:
        ConfigError: it is.
    """
    try:
        written = "a\n".encode(encoding)
        decoder = codecs.getincrementaldecoder(encoding)(_MARK)
        for byte in written:
            decoder.decode(bytes([byte]))
        for half in _HALVES:
            half.decode(encoding, "ignore").encode()
    except (LookupError, ValueError) as error:
        raise ConfigError(f"There is no encoding {encoding!r}; mostly it is utf-8.") from error


Block = str | DataError
"""Text, or what is wrong with the line that follows, or goes on."""


def text_blocks(path: Path, reading: Reading) -> Iterator[Block]:
    """Yields the text of a file in blocks, without a byte order mark and with one kind of line end.

    Before a line with bytes that are no text comes what is wrong with it, once or more; in the line another character
    stands for them. Of a very long line, what is before the fault may have been given.

    Raises:
        DataError: the file is empty, or cannot be read further; the lines before that were given.
    """
    lack, held = "is empty", ""
    for text in _texts(path, reading):
        if isinstance(text, DataError):
            lack = ""
            yield text
            continue
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


def _texts(path: Path, reading: Reading) -> Iterator[Block]:
    """Yields what a file holds as text, and each fault at its very place."""
    decoder = codecs.getincrementaldecoder(reading.encoding)(_MARK)
    ends = io.IncrementalNewlineDecoder(None, translate=True)
    line, done, begun = 1, 0, False
    try:
        for block in chain(_blocks(path, reading), [b""]):
            before = decoder.getstate()[0]
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeError as error:
                raise DataError(
                    f"{path}, line {line} is not {reading.encoding}: it has no mark; "
                    f"set data.encoding to {reading.encoding}-le."
                ) from error
            text = ends.decode(text, final=not block)
            if text and not begun:
                text, begun = text.removeprefix("\ufeff"), True
            next_line, done = line + text.count("\n"), done + len(block)
            if "\0" in text or "\udc00" in text:
                given = 0
                for place, ahead, what in _faults(text, before + block, done, reading.encoding):
                    if place > given:
                        yield _FAULT.sub(LOST, text[given:place])
                    yield DataError(f"{path}, line {line + ahead} {what}")
                    given = place
                text = _FAULT.sub(LOST, text[given:])
            if text:
                yield text
            line = next_line
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
    with path.open("rb") as file, _decompressed(path, file) as content:
        while block := content.read1(BLOCK):
            reading.bytes_read = before + file.tell()
            yield block


def _decompressed(path: Path, file: BinaryIO) -> Any:
    if path.suffix.lower() == ".gz":
        return gzip.GzipFile(fileobj=file)
    if path.suffix.lower() == ".zst":
        import pyarrow

        return pyarrow.CompressedInputStream(file, "zstd")
    return file


def _faults(text: str, data: bytes, end: int, encoding: str) -> Iterator[tuple[int, int, str]]:
    """Yields the first fault of each line: its place in the text, how many lines end before it, and what it is.

    Args:
        text: with marks
        data: the bytes that it was made of
        end: how many bytes the file has up to there
        encoding: for the message
    """
    nuls = _nuls(data, end - len(data), encoding) if "\0" in text else []
    lines = at = 0
    while at >= 0 and (match := _FAULT.search(text, at)):
        place = match.start()
        lines += text.count("\n", at, place)
        if match[1] is None:
            nul = text.count("\0", 0, place)
            byte = (nuls[nul : nul + 1] or [end])[0]
            yield place, lines, f"has a NUL byte (byte {byte}): this is not a text file."
        else:
            what = f"byte {end - int(match[2])} is 0x{match[1]}"
            advice = "convert the file, or set data.encoding."
            yield place, lines, f"is not {encoding}: {what}; {advice}"
        at = text.find("\n", place)


def _nuls(data: bytes, start: int, encoding: str) -> list[int]:
    """Where in the file its NUL characters are, each of which is one byte, or two or four together."""
    width = len("\0\0".encode(encoding)) - len("\0".encode(encoding))
    places = range(-start % width, len(data) - width + 1, width)
    return [start + place for place in places if not any(data[place : place + width])]
