"""Text of the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lightformer.data.files_module import FilesModule
from lightformer.data.prepared import Split
from lightformer.data.reading.faults import Reading
from lightformer.data.reading.sources import read_texts
from lightformer.data.sentences import Document, stream_sentences
from lightformer.errors import ConfigError, DataError
from lightformer.examples import Corpus


class TextFiles(FilesModule):
    """Text files: .txt, .jsonl, .json, .csv, .tsv, .parquet, and data sets of `datasets`, also saved ones.

    All but Parquet may be compressed, as .gz or .zst. Where no validation is given, it is the last documents of the
    training text, or the end of a single one.
    """

    def __init__(
        self, *, text: str = "text", document_separator: str | None = None, **common: Any
    ) -> None:
        r"""
        Args:
            text: the column or field that holds the text, in files that have such
            document_separator: what stands between two documents of a .txt file, such as "\n\n"; a
                file is one document, where not given
        """
        super().__init__(**common)
        if document_separator == "":
            raise ConfigError(
                "document_separator must not be empty; leave it out for one document."
            )
        self.text = text
        self.document_separator = document_separator

    def options_of_reading(self, split: Split) -> tuple[Any, ...]:
        return self.text, repr(self.document_separator)

    def read(self, split: Split, files: Iterable[str], reading: Reading) -> Iterator[Document]:
        for name in files:
            for blocks in read_texts(name, reading, self.text, self.document_separator):
                yield Document(stream_sentences(blocks))

    def corpora(self, split: Split) -> list[tuple[Corpus, float]]:
        if split == "test" or not self.held_out:
            return super().corpora(split)
        whole = super().corpora("train")
        if not whole:
            raise DataError("There is no training data; set data.train.")
        number = ("train", "validation").index(split)
        return [(corpus.split(self.validation_share)[number], weight) for corpus, weight in whole]
