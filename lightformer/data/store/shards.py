"""Documents, cut into shards of about the same size, however long a document is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lightformer.data.sentences import Document


class Place(NamedTuple):
    """How far the documents have been read.

    Args:
        documents: how many of them are done
        pieces: how many pieces of the next one are
    """

    documents: int
    pieces: int


START = Place(0, 0)


@dataclass
class Shard:
    """Pieces of text that are encoded and written together.

    Args:
        pieces: sentences, or the columns of rows
        ends: for each document that ends here, how many of the pieces come before its end
        labels: the class of each of these documents, where there are classes
        labelled: whether there are classes
        place: how far the documents have been read after this shard
    """

    pieces: list[str] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    labelled: bool = False
    place: Place = START


def cut(documents: Iterable[Document], size: int, start: Place = START) -> Iterator[Shard]:
    """Yields shards that end with the piece that brings them to `size` characters.

    Args:
        documents: read once, in order; of a document only the pieces of one shard are held
        size: number of characters
        start: what was done before, and is left out
    """
    shard, characters, number = Shard(), 0, -1
    for number, document in enumerate(documents):
        if number < start.documents:
            deque(document.pieces, maxlen=0)  # they may come from a file that has to be read on
            continue
        shard.labelled = document.label is not None
        done = start.pieces if number == start.documents else 0
        for count, piece in enumerate(document.pieces, start=1):
            if count <= done:
                continue
            shard.pieces.append(piece)
            characters += len(piece)
            if characters >= size:
                shard.place = Place(number, count)
                yield shard
                shard, characters = Shard(labelled=shard.labelled), 0
        shard.ends.append(len(shard.pieces))
        if document.label is not None:
            shard.labels.append(document.label)
    if shard.ends:
        shard.place = Place(number + 1, 0)
        yield shard
