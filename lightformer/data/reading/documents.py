"""The documents of a .txt file, each as a stream, so that one may be larger than memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path

from lightformer.data.reading.blocks import text_blocks
from lightformer.data.reading.faults import Reading
from lightformer.errors import DataError

_BLANK = 64
"""Blocks of white space in front of a document, at most, that are kept."""


def documents(path: Path, separator: str | None, reading: Reading) -> Iterator[Iterator[str]]:
    """Yields each document of a file as blocks of text; read one to its end before the next.

    Args:
        path: a .txt file
        separator: stands between two documents; the file is one, where there is none
        reading: what happens at a fault
    """
    blocks = reading.until_fault(_sound(path, reading))
    if separator is None:
        whole = _without_blank(blocks)
        if whole is not None:
            yield whole
        return
    for border, parts in groupby(_cut(blocks, separator), lambda part: part is None):
        if not border:
            document = _without_blank(_without_outer_lines(part for part in parts if part))
            if document is not None:
                yield document


def _sound(path: Path, reading: Reading) -> Iterator[str]:
    """Yields the text of a file without the lines that have a fault; what came before one in a very long line stays."""
    given, lost = "\n", False
    for block in text_blocks(path, reading):
        if isinstance(block, DataError):
            if not lost:
                reading.fault(block)
            lost = True
            continue
        if lost:
            _, end, block = block.partition("\n")
            if given[-1] != "\n":
                block = end + block
            lost = not end
        if block:
            yield block
            given = block


def _cut(blocks: Iterable[str], separator: str) -> Iterator[str | None]:
    """Yields the text between separators, and None for each of these."""
    rest, kept = "", len(separator) - 1
    for block in blocks:
        *whole, rest = (rest + block).split(separator)
        for part in whole:
            yield part
            yield None
        known = max(0, len(rest) - kept)  # what follows may be the start of a separator
        yield rest[:known]
        rest = rest[known:]
    yield rest


def _without_outer_lines(blocks: Iterable[str]) -> Iterator[str]:
    """Yields a text without the line ends at its front and end."""
    ends, begun = 0, False
    for block in blocks:
        text = block if begun else block.lstrip("\n")
        inner = text.rstrip("\n")
        if inner:
            yield "\n" * ends + inner
            ends, begun = 0, True
        ends += len(text) - len(inner)


def _without_blank(blocks: Iterator[str]) -> Iterator[str] | None:
    """Returns a text, or None where there is only white space in it.

    Of megabytes of white space in front of a text, the last ones stay.
    """
    blank: deque[str] = deque(maxlen=_BLANK)
    for block in blocks:
        blank.append(block)
        if not block.isspace():
            return chain(blank, blocks)
    return None
