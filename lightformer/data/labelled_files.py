"""Rows with a class, of the user's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, count
from typing import Any

import numpy as np

from lightformer.data.cache import check_unchanged, digest
from lightformer.data.files_module import FilesModule
from lightformer.data.folders import made_once
from lightformer.data.labels import LabelNames
from lightformer.data.prepared import Split
from lightformer.data.reading.faults import Reading
from lightformer.data.reading.rows import Row, column, text_column
from lightformer.data.reading.sources import read_rows
from lightformer.data.sentences import Document
from lightformer.draws import uniform
from lightformer.errors import DataError

_LABELS = "labels.json"
_USUAL = ("text", "sentence", "review")
_DRAWN = 4096  # rows at a time


class LabelledFiles(FilesModule):
    """Rows of text and a class: .csv, .tsv, .jsonl, .json, .parquet, and data sets of `datasets`, also saved ones.

    All but Parquet may be compressed, as .gz or .zst. Classes are words or whole numbers, the same kind in all rows.
    Where no validation is given, it is some rows of the training data.
    """

    default_examples = "labelled"

    def __init__(
        self,
        *,
        text: str | None = None,
        text_pair: str | None = None,
        label: str = "label",
        **common: Any,
    ) -> None:
        """
        Args:
            text: the column that holds the text; text, sentence or review, where not given
            text_pair: the column that holds the second text, for pairs
            label: the column that holds the class
        """
        super().__init__(**common)
        self.text = text
        self.text_pair = text_pair
        self.label = label

    def options_of_reading(self, split: Split) -> tuple[Any, ...]:
        drawn = (self.validation_share,) if self.held_out and split != "test" else ()
        return self.text, self.text_pair, self.label, *drawn

    @cached_property
    def _names(self) -> LabelNames:
        """The classes; the training rows are read for them once, and they are kept in `cache_dir`."""
        key = digest(self.label, self.sources("train"))
        folder = self.cache_dir / "labels" / f"{type(self).__name__}-{key}"
        file = made_once(folder / _LABELS, lambda: json.dumps(self._collected()))
        try:
            return LabelNames(self.label, json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{folder} is damaged ({_LABELS} cannot be read); delete the folder, it is made again."
            ) from error

    def _collected(self) -> list[str | int | bool]:
        names, reading = LabelNames(self.label), Reading(self.encoding, self.on_error)
        for share in self._shares["train"]:
            for file in share.files:
                rows = read_rows(file, reading, [self.label])
                for _ in reading.each(
                    lambda row: names.add(row[0], column(*row, self.label)), rows
                ):
                    pass
            check_unchanged(share.stamps)
        return names.collected

    @property
    def labels(self) -> tuple[str, ...]:
        return self._names.names()

    def read(self, split: Split, files: Iterable[str], reading: Reading) -> Iterator[Document]:
        found = chain.from_iterable(read_rows(file, reading, self._needed) for file in files)
        documents = reading.each(self._document, found)
        if split == "test" or not self.held_out:
            yield from documents
            return
        asked, rows = split == "validation", [0, 0]  # left to the other split, and to this one
        for document, drawn in zip(documents, self._drawn(), strict=False):
            rows[drawn == asked] += 1
            if drawn == asked:
                yield document
        if rows[0] and not rows[1]:
            raise DataError(
                f"validation_share {self.validation_share} leaves none of the {rows[0]} rows of {', '.join(files)} for "
                f"{split}; set data.validation to files of your own."
            )

    def _drawn(self) -> Iterator[bool]:
        """Yields for each training row whether it is kept for validation."""
        for start in count(0, _DRAWN):
            numbers = np.arange(start, start + _DRAWN)
            yield from (uniform(0, "validation", numbers) < self.validation_share).tolist()

    def _document(self, row: Row) -> Document:
        where, values = row
        pieces = [text_column(where, values, name) for name in self._columns(where, values)]
        if not all(piece.strip() for piece in pieces):
            raise DataError(f"{where} has no text; leave such rows out.")
        return Document(pieces, self._names.number(where, column(where, values, self.label)))

    @property
    def _needed(self) -> list[str]:
        """The columns that may be used."""
        texts = (self.text,) if self.text else _USUAL
        return [name for name in (*texts, self.text_pair, self.label) if name is not None]

    def _columns(self, where: str, values: Mapping[str, Any]) -> list[str]:
        text = self.text or next((name for name in _USUAL if name in values), None)
        if text is None:
            raise DataError(
                f"{where} has none of the columns {', '.join(_USUAL)}; set data.text to one of "
                f"{', '.join(map(str, values))}."
            )
        return [text] if self.text_pair is None else [text, self.text_pair]
