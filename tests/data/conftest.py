"""Small texts and files, made anew."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lightformer.examples import Corpus
from lightformer.vocabulary import Vocabulary

WORDS = ["red", "green", "blue", "moon", "river", "stone", "apple", "cloud", "tiger", "lamp"]


def make_corpus(
    documents: list[list[int]], separator: int | None = None, first: int = 10
) -> Corpus:
    """Returns a corpus whose tokens count up from `first`; `documents` are lengths of sentences."""
    tokens: list[int] = []
    sentences, borders, number = [0], [0], first
    for lengths in documents:
        for position, length in enumerate(lengths):
            tokens += range(number, number + length)
            number += length
            if separator is not None and position == len(lengths) - 1:
                tokens.append(separator)
            sentences.append(len(tokens))
        borders.append(len(sentences) - 1)
    return Corpus(
        np.array(tokens, dtype=np.uint16), np.array(sentences), np.array(borders), separator
    )


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(size=5003, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, eos_id=3)


def sentences(count: int, seed: int) -> str:
    draw = random.Random(seed)
    return " ".join(
        " ".join(draw.choices(WORDS, k=draw.randint(3, 9))).capitalize() + "." for _ in range(count)
    )


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """31 documents of 2 to 12 sentences."""
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(sentences(2 + i % 11, i) for i in range(31)) + "\n")
    return path


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file, and returns its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
