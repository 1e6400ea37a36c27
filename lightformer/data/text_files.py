"""Text of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from lightformer.data.files import suffix, text_column
from lightformer.data.module import DataModule
from lightformer.data.prepared import Split
from lightformer.data.sentences import Document, split_sentences
from lightformer.data.sources import HUB, expand, fingerprints, records, texts
from lightformer.errors import ConfigError, DataError
from lightformer.examples import Corpus


class TextFiles(DataModule):
    """Text files: .txt, .jsonl, .json, .csv, .tsv and .parquet, and data sets of `datasets`."""

    def __init__(
        self,
        *,
        train: list[str] | str,
        validation: list[str] | str | None = None,
        test: list[str] | str | None = None,
        validation_share: float = 0.1,
        text: str = "text",
        document_separator: str | None = None,
        encoding: str = "utf-8",
        **common: Any,
    ) -> None:
        r"""
        Args:
            train: files or patterns such as texts/*.txt, or datasets:NAME:SPLIT
            validation: the same for validation; the end of the training text, where not given
            test: the same for the test; validation is used, where not given
            validation_share: how much of the training text is kept for validation, where no
                validation is given: its last documents, or the end of a single one
            text: the column or field that holds the text, in files that have such
            document_separator: what stands between two documents of a .txt file, such as "\n\n"; a
                file is one document, where not given
            encoding: how the files are encoded
        """
        super().__init__(**common)
        if validation is None and not 0 < validation_share < 1:
            raise ConfigError(
                f"validation_share must be between 0 and 1, not {validation_share}; "
                "or set data.validation."
            )
        if document_separator == "":
            raise ConfigError(
                "document_separator must not be empty; leave it out for one document."
            )
        self.files = {"train": train, "validation": validation, "test": test}
        self.validation_share = validation_share
        self.text = text
        self.document_separator = document_separator
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
        how = f"{self.text}, {self.document_separator!r}, {self.encoding}"
        return {name: f"{state}, {how}" for name, state in found.items()}

    def documents(self, split: Split) -> Iterator[Document]:
        for name in self._found[split]:
            for text in self._texts_of(name):
                if text.strip():
                    yield Document(split_sentences(text))

    def _texts_of(self, name: str) -> Iterator[str]:
        if not name.startswith(HUB) and suffix(Path(name)) == ".txt":
            yield from texts(name, self.encoding, self.document_separator)
            return
        for where, record in records(name, self.encoding):
            yield text_column(where, record, self.text)

    def corpora(self, split: Split) -> list[tuple[Corpus, float]]:
        if self._found["validation"] or split == "test":
            return super().corpora(split)
        whole = super().corpora("train")
        if not whole:
            raise DataError("There is no training data; set data.train.")
        held_out = split == "validation"
        return [(corpus.split(self.validation_share)[held_out], weight) for corpus, weight in whole]
