"""Texts and corpora for tests."""

from __future__ import annotations

import random

import numpy as np

from lightformer.examples import Corpus

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


def sentences(count: int, seed: int) -> str:
    draw = random.Random(seed)
    return " ".join(
        " ".join(draw.choices(WORDS, k=draw.randint(3, 9))).capitalize() + "." for _ in range(count)
    )
