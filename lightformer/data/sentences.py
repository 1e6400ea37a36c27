"""Text as pieces: sentences, of which none loses a character."""

from __future__ import annotations

import re
from typing import NamedTuple

_LONGEST = 4000
_BORDER = re.compile(
    r"""[.!?]["')\]]*(?=\s+["'(\[`*]?[A-Z0-9])  # the end of a sentence, and the next one opens
      | [。！？]["”’）]*                          # the same, where no space stands between
      | (?<=\S)(?=[ \t]*\n[ \t]*\n)             # the end of a paragraph
    """,  # noqa: RUF001
    re.VERBOSE,
)


class Document(NamedTuple):
    """A text in pieces, or a row: its columns and its class.

    Args:
        pieces: sentences, each with the white space before it; joined they are the text
        label: number of the class, where there is one
    """

    pieces: list[str]
    label: int | None = None


def split_sentences(text: str) -> list[str]:
    """Cuts a text after each sentence, so that the pieces, joined, are the text.

    White space goes to the front of a piece. A long stretch without a border is cut at a space.
    """
    pieces, start = [], 0
    for border in [*(match.end() for match in _BORDER.finditer(text)), len(text)]:
        while border - start > _LONGEST:
            space = text.rfind(" ", start + 1, start + _LONGEST)
            cut = space if space > start else start + _LONGEST
            pieces.append(text[start:cut])
            start = cut
        if text[start:border].strip():
            pieces.append(text[start:border])
            start = border
    if start < len(text):  # white space at the very end
        pieces[-1:] = [(pieces[-1] if pieces else "") + text[start:]]
    return pieces
