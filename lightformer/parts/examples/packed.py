"""Several documents a row."""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np

from lightformer.draws import permuted, uniform
from lightformer.examples import Batch, Corpus, Examples, Indices
from lightformer.layout import Stretches, lay_out, ragged, room_for_text
from lightformer.registry import register
from lightformer.vocabulary import Vocabulary

Runs = tuple[tuple[int, int], ...]
"""What a row holds: a size, and how many documents of that size; and so on."""


@register("examples", "packed", forms=({}, {"special_tokens": True, "seq_len": 31}))
class Packed(Examples):
    """Packs whole documents into rows of one length, and keeps them apart.

    `document_ids` number the documents of a row, so that attention stays within each, and `position_ids` restart in
    each; the last token of a document is not asked for a next one. What is longer than a row is cut into rows, of
    which the last is packed with others. How sizes are put together is settled once, and which document of a size
    stands where is drawn anew in each epoch. A row that nothing fits into any more is padded: where all documents are
    longer than half a row, each has its own.

    Paper: Krell et al., 2021, arXiv:2107.02027
    """

    def __init__(
        self,
        corpus: Corpus,
        vocabulary: Vocabulary,
        seed: int,
        training: bool,
        /,
        *,
        seq_len: int = 128,
        special_tokens: bool = False,
    ) -> None:
        """
        Args:
            seq_len: number of tokens in a row
            special_tokens: whether each document is put between [CLS] and [SEP], as BERT sees text
        """
        super().__init__(corpus, vocabulary, seed, training)
        self.framed, self.seq_len = special_tokens, seq_len
        self.width = room_for_text(seq_len, vocabulary, framed=special_tokens)
        self.starts, self.ends = corpus.texts(with_separator=not special_tokens)
        whole, rest = np.divmod(self.ends - self.starts, self.width)
        self.whole_before = np.concatenate([[0], np.cumsum(whole)])  # rows that one document fills
        sizes = np.where(rest > 0, rest + 2 * special_tokens, 0)  # of what is left of each document
        self.by_size = np.argsort(sizes, kind="stable")
        self.counts = np.bincount(sizes, minlength=seq_len + 1)
        self.size_before = np.cumsum(self.counts) - self.counts
        self._tabulate(pack(self.counts.tolist(), seq_len))

    def _tabulate(self, shapes: list[tuple[int, Runs]]) -> None:
        """Keeps the shapes of rows as arrays, and which documents of each size belong to which shape."""
        rows = [rows for rows, _ in shapes]
        runs = [(number, *run) for number, (_, runs) in enumerate(shapes) for run in runs]
        self.rows_before = np.cumsum([0, *rows])
        shape, self.run_size, self.run_copies = np.array(runs, dtype=np.int64).reshape(-1, 3).T
        self.shape_runs = np.bincount(shape, minlength=len(shapes))
        self.first_run = np.cumsum(self.shape_runs) - self.shape_runs
        taken = self.run_copies * np.array(rows, dtype=np.int64)[shape]
        order = np.argsort(self.run_size, kind="stable")
        before = np.cumsum(taken[order]) - taken[order]
        opens = np.searchsorted(self.run_size[order], self.run_size[order])  # the first of its size
        self.run_base = np.empty_like(taken)
        self.run_base[order] = before - before[opens]

    def __len__(self) -> int:
        return int(self.whole_before[-1] + self.rows_before[-1])

    def lengths(self, indices: Indices, epoch: int) -> Indices:
        return np.full(len(indices), self.seq_len)

    def batch(self, indices: Indices, epoch: int) -> Batch:
        filled = indices < self.whole_before[-1]
        whole, mixed = np.flatnonzero(filled), np.flatnonzero(~filled)
        document = np.searchsorted(self.whole_before, indices[whole], side="right") - 1
        start = self.starts[document]
        start = start + (indices[whole] - self.whole_before[document]) * self.width
        owner, other, length = self._mixed(indices[mixed] - self.whole_before[-1], epoch)

        rows = np.concatenate([whole, mixed[owner]])
        documents = np.concatenate([document, other])
        starts = np.concatenate([start, self.ends[other] - length])
        lengths = np.concatenate([np.full(len(whole), self.width), length])
        order = np.argsort(rows, kind="stable")
        if self.training:
            nth = np.concatenate([np.zeros_like(whole), self._within(owner)])
            order = np.lexsort((uniform(self.seed, "place", epoch, indices[rows], nth), rows))
        stretches = Stretches(
            rows[order], starts[order], lengths[order], self.ends[documents[order]]
        )
        shape = (len(indices), self.seq_len)
        return lay_out(
            self.corpus, self.vocabulary, stretches, shape, framed=self.framed, packed=True
        )

    def _mixed(self, row: Indices, epoch: int) -> tuple[Indices, Indices, Indices]:
        """The ends of documents that stand in rows: for each its row, its document and its length."""
        shape = np.searchsorted(self.rows_before, row, side="right") - 1
        owner, nth = ragged(self.shape_runs[shape])
        run = self.first_run[shape][owner] + nth
        part, copy = ragged(self.run_copies[run])
        owner, run = owner[part], run[part]
        size = self.run_size[run]
        place = self.run_base[run] + copy
        place += (row - self.rows_before[shape])[owner] * self.run_copies[run]
        if self.training:
            place = permuted(place, self.counts[size], self.seed, "document", epoch, size)
        return owner, self.by_size[self.size_before[size] + place], size - 2 * self.framed

    @staticmethod
    def _within(owner: Indices) -> Indices:
        """The number of each element among those of the same owner, who stand together."""
        return np.arange(len(owner)) - np.searchsorted(owner, owner)


def pack(counts: list[int], width: int) -> list[tuple[int, Runs]]:
    """Returns how sizes are put together in rows of a width: so many rows, each with these runs.

    The longest first, each into the fullest row that has room for it.

    Args:
        counts: how many documents there are of each size; of size 0 there may be any
        width: of a row; no size is above it
    """
    rooms: dict[int, list[tuple[int, Runs]]] = {}
    free: list[int] = []  # the keys of `rooms`, rising

    def add(room: int, rows: int, runs: Runs) -> None:
        if rows and room not in rooms:
            rooms[room] = []
            insort(free, room)
        if rows:
            rooms[room].append((rows, runs))

    for size in range(min(width, len(counts) - 1), 0, -1):
        left = counts[size]
        while left:
            at = bisect_left(free, size)
            room = free[at] if at < len(free) else width
            rows, runs = rooms[room].pop() if at < len(free) else (left, ())  # new rows
            if at < len(free) and not rooms[room]:
                del rooms[room], free[at]
            copies = room // size
            full = min(rows, left // copies)
            add(room - copies * size, full, (*runs, (size, copies)))
            left -= full * copies
            begun = left if full < rows and left < copies else 0
            add(room - begun * size, int(begun > 0), (*runs, (size, begun)))
            left -= begun
            if runs:
                add(room, rows - full - (begun > 0), runs)
    return [shape for room in free for shape in rooms[room]]
