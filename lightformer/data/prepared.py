"""What becomes of text before it is batches: a tokenizer, and a store of tokens for each part of a split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lightformer.data.cache import digest
from lightformer.data.folders import made_once
from lightformer.data.sentences import Document
from lightformer.data.store import (
    FORMAT,
    note_changes,
    open_store,
    verify_store,
    write_store,
)
from lightformer.data.tokenizer_text import training_texts
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.examples import Corpus
from lightformer.tokenizer import Tokenizer, TokenizerConfig
from lightformer.vocabulary import Vocabulary

if TYPE_CHECKING:
    from lightformer.data.reading import Reading

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

_TEXT = 4
"""Changes when sentences or documents are cut in another way, so that stores are made again."""


@dataclass(frozen=True)
class Part:
    """Documents that are mixed with those of other parts.

    Args:
        name: for folders and messages
        sources: where the documents come from, with a digest of each
        documents: reads them anew
        weight: how often each of its samples is seen in an epoch of training
        reading: how the reading goes, where that can be told
    """

    name: str
    sources: dict[str, str]
    documents: Callable[[], Iterable[Document]]
    weight: float = 1.0
    reading: Reading | None = None


class PreparedText(ABC):
    """Text that is tokenized once, and kept in `cache_dir`."""

    tokenizer_config: TokenizerConfig
    cache_dir: Path

    @abstractmethod
    def documents(self, split: Split) -> Iterable[Document]:
        """Returns the documents of a split, read anew; empty where there is no such split."""

    @abstractmethod
    def sources(self, split: Split) -> dict[str, str]:
        """Returns the sources of a split, with a digest of each, and after a comma how it is read; empty where there is
        none."""

    def parts(self, split: Split) -> list[Part]:
        """Returns what a split is mixed of: one part, if a data module says nothing else."""
        found = self.sources(split)
        if not found:
            return []
        return [Part(f"{type(self).__name__}-{split}", found, lambda: self.documents(split))]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, where the data has classes."""
        return ()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer; trained on the training text at first use."""
        config = self.tokenizer_config
        if config.file is not None:
            return Tokenizer.from_file(config.file)
        key = digest(_TEXT, asdict(config), self.sources("train"))
        folder = self.cache_dir / "tokenizers" / f"{type(self).__name__}-{config.kind}-{key}"

        def train() -> str:
            texts = training_texts(self.documents("train"), config)
            return train_tokenizer(texts, config).to_json()

        return Tokenizer.from_file(made_once(folder / "tokenizer.json", train))

    @property
    def vocabulary(self) -> Vocabulary:
        """What a model needs to know of this data."""
        return replace(self.tokenizer.vocabulary, labels=self.labels)

    def corpora(self, split: Split) -> list[tuple[Corpus, float]]:
        """Returns the parts of a split as tokens, with their weights; none where there is no such split."""
        return [(self._store(part), part.weight) for part in self.parts(split)]

    def _store(self, part: Part) -> Corpus:
        separator = None if self.labels else self.tokenizer.vocabulary.eos_id
        fingerprint = self.tokenizer.fingerprint
        key = digest(_TEXT, FORMAT, fingerprint, separator, part.sources, self.labels)
        folder = self.cache_dir / "tokens" / f"{part.name}-{key}"
        if not folder.is_dir():
            note_changes(folder.parent, part.name, fingerprint, part.sources)
            write_store(
                folder,
                part.documents(),
                self.tokenizer,
                separator,
                part.sources,
                name=part.name,
                reading=part.reading,
                labels=self.labels,
            )
        self.stores[part.name] = folder
        return open_store(folder)

    @cached_property
    def stores(self) -> dict[str, Path]:
        """The folder of each part that was asked for."""
        return {}

    def prepare_data(self) -> None:
        """Trains the tokenizer and writes the tokens, where they are not there yet.

        Raises:
            DataError: the tokens that are there have been altered.
        """
        for split in SPLITS:
            self.corpora(split)
        for folder in self.stores.values():
            verify_store(folder, self.cache_dir)
