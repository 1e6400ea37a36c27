"""Rows with a class, of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from lightformer.data.files import column, text_column
from lightformer.data.labels import LabelNames
from lightformer.data.module import DataModule
from lightformer.data.prepared import Split
from lightformer.data.sentences import Document
from lightformer.data.sources import expand, fingerprints, records
from lightformer.draws import uniform
from lightformer.errors import ConfigError, DataError

_USUAL = ("text", "sentence", "review")


class LabelledFiles(DataModule):
    """Rows of text and a class: .csv, .tsv, .jsonl, .json, .parquet, and data sets of `datasets`.

    Classes are words or whole numbers, the same kind in all rows.
    """

    default_examples = "labelled"

    def __init__(
        self,
        *,
        train: list[str] | str,
        validation: list[str] | str | None = None,
        test: list[str] | str | None = None,
        validation_share: float = 0.1,
        text: str | None = None,
        text_pair: str | None = None,
        label: str = "label",
        encoding: str = "utf-8",
        **common: Any,
    ) -> None:
        """
        Args:
            train: files or patterns such as rows/*.csv, or datasets:NAME:SPLIT
            validation: the same for validation; some training rows, where not given
            test: the same for the test; validation is used, where not given
            validation_share: how many of the training rows are kept for validation, where no
                validation is given
            text: the column that holds the text; text, sentence or review, where not given
            text_pair: the column that holds the second text, for pairs
            label: the column that holds the class
            encoding: how the files are encoded
        """
        super().__init__(**common)
        if validation is None and not 0 < validation_share < 1:
            raise ConfigError(
                f"validation_share must be between 0 and 1, not {validation_share}; "
                "or set data.validation."
            )
        self.files = {"train": train, "validation": validation, "test": test}
        self.validation_share = validation_share
        self.text = text
        self.text_pair = text_pair
        self.label = label
        self.encoding = encoding

    @cached_property
    def _found(self) -> dict[str, dict[str, str]]:
        return {
            split: fingerprints(expand(names, f"data.{split}"))
            for split, names in self.files.items()
        }

    def sources(self, split: Split) -> dict[str, str]:
        found = self._found[split]
        if not found and split == "validation":
            found = self._found["train"]
        how = f"{self.text}, {self.text_pair}, {self.label}, {self.encoding}"
        if not self._found["validation"] and split != "test":
            how += f", {self.validation_share}"
        return {name: f"{state}, {how}" for name, state in found.items()}

    @cached_property
    def _names(self) -> LabelNames:
        names = LabelNames(self.label)
        for file in self._found["train"]:
            for where, record in records(file, self.encoding):
                names.add(where, column(where, record, self.label))
        return names

    @property
    def labels(self) -> tuple[str, ...]:
        return self._names.names()

    def documents(self, split: Split) -> Iterator[Document]:
        if self._found["validation"] or split == "test":
            yield from (document for _, document in self._rows(split))
            return
        for number, document in self._rows("train"):
            drawn = uniform(0, "validation", number) < self.validation_share
            if bool(drawn) == (split == "validation"):
                yield document

    def _rows(self, split: Split) -> Iterator[tuple[int, Document]]:
        number = 0
        for file in self._found[split]:
            for where, record in records(file, self.encoding):
                pieces = [text_column(where, record, name) for name in self._columns(where, record)]
                if not all(piece.strip() for piece in pieces):
                    raise DataError(f"{where} has no text; leave such rows out.")
                label = self._names.number(where, column(where, record, self.label))
                yield number, Document(pieces, label)
                number += 1

    def _columns(self, where: str, record: Mapping[str, Any]) -> list[str]:
        text = self.text or next((name for name in _USUAL if name in record), None)
        if text is None:
            raise DataError(
                f"{where} has none of the columns {', '.join(_USUAL)}; set data.text to one of "
                f"{', '.join(map(str, record))}."
            )
        return [text] if self.text_pair is None else [text, self.text_pair]
