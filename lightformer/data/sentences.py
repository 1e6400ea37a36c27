"""Text as pieces: sentences, of which none loses a character."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, takewhile
from typing import NamedTuple

_LONGEST = 4000
_BORDER = re.compile(
    r"""[.!?。！？\n](?:  # most characters are passed over at once
        (?<=[.!?])["')\]]{0,64}(?=\s{1,64}["'(\[`*]?[A-Z0-9])  # the end of a sentence, and the next one opens
      | (?<=[。！？])["”’）]{0,64}                              # the same, where no space stands between
      | (?<=\n)(?=[ \t]{0,64}\n)                             # the end of a paragraph, and of blanks behind it
    )
    """,  # noqa: RUF001
    re.VERBOSE,
)
_BLANKS = re.compile(r"(?<=\S)[ \t]{0,64}\n\Z")
_BEHIND, _AHEAD = 65, 131
"""So many characters before and after the end of a sentence tell that it is one, so that text may be a stream."""


class Document(NamedTuple):
    """A text in pieces, or a row: its columns and its class.

    Args:
        pieces: sentences, each with the white space before it; joined they are the text; read once
        label: number of the class, where there is one
    """

    pieces: Iterable[str]
    label: int | None = None


def split_sentences(text: str) -> list[str]:
    """Cuts a text after each sentence, so that the pieces, joined, are the text.

    White space goes to the front of a piece. A long stretch without a border is cut at a space.
    """
    return list(stream_sentences([text]))


def stream_sentences(blocks: Iterable[str]) -> Iterator[str]:
    """Yields the pieces that `split_sentences` makes of the whole text, and holds a few of them at a time."""
    text, start, known, held = "", 0, 0, ""
    for block in chain(blocks, [None]):
        seen = max(0, known - _BEHIND)
        kept = min(start, seen)
        text = text[kept:] + (block or "")
        start, seen = start - kept, seen - kept
        known = len(text) - (0 if block is None else _AHEAD)
        for border in chain(takewhile(known.__gt__, _borders(text, seen)), [known]):
            while border - start > _LONGEST:
                space = text.rfind(" ", start + 1, start + _LONGEST)
                cut = space if space > start else start + _LONGEST
                if held:
                    yield held
                held, start = text[start:cut], cut
            if (border < known or block is None) and text[start:border].strip():
                if held:
                    yield held
                held, start = text[start:border], border
    if held or text[start:]:  # the last piece takes the white space at the very end
        yield held + text[start:]


def _borders(text: str, start: int) -> Iterator[int]:
    for match in _BORDER.finditer(text, start):
        border = match.end()
        if text[border - 1] != "\n":
            yield border
        elif text[border - 2 : border - 1] != "\n":  # else an empty line stands before it
            blanks = _BLANKS.search(text, max(0, border - 66), border)
            if blanks:
                yield blanks.start()
