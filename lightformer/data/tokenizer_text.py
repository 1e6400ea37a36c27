"""The text that a tokenizer is trained on: all of it, or what is drawn from it, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import count

import numpy as np

from lightformer.data.sentences import Document
from lightformer.draws import uniform
from lightformer.tokenizer import TokenizerConfig

_BLOCK = 1 << 20
_DRAWS = 4096


def training_texts(documents: Iterable[Document], config: TokenizerConfig) -> Iterator[str]:
    """Yields documents as texts of at most `train_characters` together, in their order.

    Of more, some are drawn: which ones depends on their numbers alone. A document that is larger than a megabyte counts
    as several texts. A tokenizer of characters gets all, since it only notes which there are.
    """
    most = config.train_characters
    if config.kind == "characters":
        yield from _texts(documents, _BLOCK)
        return
    draws = _draws()
    kept: list[tuple[float, int, str]] = []  # the one that was drawn last comes first
    size, limit = 0, 1.0
    for number, text in enumerate(_texts(documents, min(_BLOCK, most // 64))):
        draw = next(draws)
        if draw >= limit:
            continue
        heappush(kept, (-draw, number, text))
        size += len(text)
        while size > most and len(kept) > 1:
            drawn, _, dropped = heappop(kept)
            size, limit = size - len(dropped), -drawn
    yield from (text for _, _, text in sorted(kept, key=lambda item: item[1]))


def _draws() -> Iterator[float]:
    for begin in count(step=_DRAWS):
        yield from uniform(0, "tokenizer", np.arange(begin, begin + _DRAWS)).tolist()


def _texts(documents: Iterable[Document], block: int) -> Iterator[str]:
    for document in documents:
        if document.label is not None:
            yield from document.pieces
            continue
        pieces: list[str] = []
        size = 0
        for piece in document.pieces:
            pieces.append(piece)
            size += len(piece)
            if size >= block:
                yield "".join(pieces)
                pieces, size = [], 0
        if pieces:
            yield "".join(pieces)
