"""Text that is made up: words as frequent as in a language, in documents of many lengths."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

_SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in ("a", "e", "i", "o", "u", "ai", "er", "on")]
_WORDS = 30_000
_AT_A_TIME = 1000
"""Documents, or words, that are drawn together."""


def write_corpus(path: Path, megabytes: float, seed: int = 0) -> None:
    """Writes documents of some 45 words in the middle, the longest of thousands, as a line of JSON each.

    Args:
        path: a .jsonl file to write
        megabytes: its size; it ends with the document that reaches it
        seed: the same gives the same text
    """
    draw = np.random.default_rng(seed)
    words = _words(draw)
    inside = [*words, *(word.capitalize() for word in words)]
    spelt = np.array([*inside, *(f"{word}." for word in inside)])
    chances = 1 / np.arange(2.7, _WORDS + 2.7)  # Zipf's law, as Mandelbrot has it
    chances = np.cumsum(chances / chances.sum())
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < megabytes * 1e6:
            lengths = np.ceil(draw.lognormal(3.8, 1.0, _AT_A_TIME)).astype(np.int64)
            drawn = np.searchsorted(chances, draw.random(int(lengths.sum()))).clip(max=_WORDS - 1)
            ends = draw.random(len(drawn)) < 1 / 14  # of sentences
            ends[np.cumsum(lengths) - 1] = True
            starts = np.concatenate([[True], ends[:-1]])
            text = spelt[drawn + _WORDS * (starts + 2 * ends)]
            for document in np.split(text, np.cumsum(lengths)[:-1]):
                line = json.dumps({"text": " ".join(document)}) + "\n"
                file.write(line)
                written += len(line)
                if written >= megabytes * 1e6:
                    break


def _words(draw: np.random.Generator) -> list[str]:
    """Different words, the frequent ones short."""
    found: dict[str, None] = {}
    while len(found) < _WORDS:
        sizes = 1 + draw.binomial(4, min(0.05 + len(found) / 8000, 0.5), _AT_A_TIME)
        syllables = draw.integers(len(_SYLLABLES), size=(_AT_A_TIME, 5))
        for size, row in zip(sizes.tolist(), syllables.tolist(), strict=True):
            found["".join(_SYLLABLES[number] for number in row[:size])] = None
    return list(found)[:_WORDS]
