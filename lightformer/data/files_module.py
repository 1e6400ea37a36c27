"""What the data modules share that read files of the user's own."""

from __future__ import annotations

import math
import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lightformer.data.cache import check_unchanged, file_digests, stamp
from lightformer.data.folders import say
from lightformer.data.module import DataModule
from lightformer.data.prepared import Part, Split
from lightformer.data.reading.blocks import check_encoding
from lightformer.data.reading.faults import OnError, Reading
from lightformer.data.reading.hub import HUB
from lightformer.data.reading.names import expand
from lightformer.data.sentences import Document
from lightformer.errors import ConfigError

_FAR = 2.0


@dataclass(frozen=True)
class _Share:
    """Files that are mixed with those of other shares.

    Args:
        name: what the user calls them; empty where there is only one share
        files: files and names of data sets, with a digest of each
        stamps: size, times and so on of each file, from before its digest was taken
        weight: how often each of their samples is seen in an epoch of training
    """

    name: str
    files: dict[str, str]
    stamps: dict[str, list[int]]
    weight: float = 1.0


class FilesModule(DataModule):
    """Files of the user's own."""

    def __init__(
        self,
        *,
        train: dict[str, float] | list[str] | str,
        validation: list[str] | str | None = None,
        test: list[str] | str | None = None,
        validation_share: float = 0.1,
        encoding: str = "utf-8",
        on_error: OnError = "stop",
        **common: Any,
    ) -> None:
        """
        Args:
            train: files, folders, patterns such as texts/*.txt, or datasets:NAME:SPLIT; a mapping such as
                {wiki/: 1, books/*.txt: 2.5} mixes them, and says how often each sample is seen in an epoch
            validation: files and so on for validation; a part of the training data, where not given
            test: the same for the test; validation is used, where not given
            validation_share: how much of the training data is kept for validation, where no validation is given
            encoding: how the files are encoded
            on_error: stop at the first row that cannot be read, or skip and count such; of a .txt file a row is a
                line; of a file that cannot be read further, skip the rest
        """
        super().__init__(**common)
        if not validation and not 0 < validation_share < 1:
            raise ConfigError(
                f"validation_share must be between 0 and 1, not {validation_share}; "
                "or set data.validation."
            )
        if on_error not in ("stop", "skip"):
            raise ConfigError(f"on_error must be stop or skip, not {on_error!r}.")
        for name, weight in train.items() if isinstance(train, dict) else ():
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not number or not 0 < weight < math.inf:
                raise ConfigError(
                    f"data.train must give each source a weight above 0, but {name} has {weight!r}; "
                    "2 is twice an epoch, 0.5 every other epoch."
                )
        check_encoding(encoding)
        self.files = {"train": train, "validation": validation or [], "test": test or []}
        self.validation_share = validation_share
        self.encoding = encoding
        self.on_error: OnError = on_error

    @abstractmethod
    def read(self, split: Split, files: Iterable[str], reading: Reading) -> Iterator[Document]:
        """Yields the documents of files."""

    @abstractmethod
    def options_of_reading(self, split: Split) -> tuple[Any, ...]:
        """Returns the options on which it depends what is read."""

    @property
    def held_out(self) -> bool:
        """Whether the validation data is a part of the training data."""
        return not self._shares["validation"]

    @cached_property
    def _shares(self) -> dict[str, list[_Share]]:
        found = {
            split: _expanded(names, f"data.{split}", self.cache_dir)
            for split, names in self.files.items()
        }
        every = [file for shares in found.values() for _, files, _ in shares for file in files]
        stamps = {file: stamp(file) for file in every if not file.startswith(HUB)}
        digests = file_digests(list(stamps), self.cache_dir)
        return {
            split: [
                _Share(
                    name,
                    {file: digests.get(file, file) for file in files},
                    {file: stamps[file] for file in files if file in stamps},
                    weight,
                )
                for name, files, weight in shares
            ]
            for split, shares in found.items()
        }

    def _shares_of(self, split: Split) -> list[_Share]:
        return self._shares["train" if split == "validation" and self.held_out else split]

    def _sources(self, share: _Share, split: Split) -> dict[str, str]:
        options = (*self.options_of_reading(split), self.encoding, self.on_error)
        how = ", ".join(map(str, options))
        return {name: f"{state}, {how}" for name, state in share.files.items()}

    def sources(self, split: Split) -> dict[str, str]:
        shares = self._shares_of(split)
        return {n: s for share in shares for n, s in self._sources(share, split).items()}

    def documents(self, split: Split) -> Iterator[Document]:
        for part in self.parts(split):
            yield from part.documents()

    def parts(self, split: Split) -> list[Part]:
        return [
            self._part(split, share, number)
            for number, share in enumerate(self._shares_of(split), start=1)
        ]

    def _part(self, split: Split, share: _Share, number: int) -> Part:
        name = f"{type(self).__name__}-{split}"
        if share.name:
            short = re.sub(r"[^\w.]+", "-", Path(share.name).name).strip("-.")[:40]
            name += f"-{number}-{short}"
        reading = Reading(self.encoding, self.on_error, _size(share.files))
        read = partial(self._documents, split, share, reading)
        return Part(name, self._sources(share, split), read, share.weight, reading)

    def _documents(self, split: Split, share: _Share, reading: Reading) -> Iterator[Document]:
        reading.restart()
        yield from self.read(split, share.files, reading)
        check_unchanged(share.stamps)

    def prepare_data(self) -> None:
        """As for any text; then says where the share for validation is far from what was asked for."""
        super().prepare_data()
        if not self.held_out:
            return
        parts, kept = self.parts("train"), self.corpora("validation")
        for part, (train, _), (validation, _) in zip(
            parts, self.corpora("train"), kept, strict=True
        ):
            held = validation.stop - validation.start
            share = held / max(1, held + train.stop - train.start)
            if not self.validation_share / _FAR <= share <= self.validation_share * _FAR:
                say(
                    f"{part.name}: validation_share is {self.validation_share:.1%}, but {share:.1%} of the text is "
                    "kept for validation, since documents are kept whole; set data.validation to files of your own."
                )


def _expanded(
    names: dict[str, float] | list[str] | str, option: str, cache_dir: Path
) -> list[tuple[str, list[str], float]]:
    """Returns the files of each share, with its name and its weight; what was prepared of others is none."""
    made = cache_dir.resolve()

    def files_of(names: list[str] | str) -> list[str]:
        return [file for file in expand(names, option) if made not in Path(file).resolve().parents]

    if not isinstance(names, dict):
        files = files_of(names)
        return [("", files, 1.0)] if files else []
    shares = [(name, files_of(name), weight) for name, weight in names.items()]
    home: dict[str, str] = {}
    for name, files, _ in shares:
        for file in files:
            if file in home:
                raise ConfigError(
                    f"{option} must name each file once, but {file} is in {home[file]} and in {name}."
                )
            home[file] = name
    return shares


def _size(files: Iterable[str]) -> int | None:
    """The size of files on disk; None where one is elsewhere."""
    try:
        return sum(map(os.path.getsize, files))
    except OSError:
        return None
