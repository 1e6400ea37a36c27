"""What a user names as data: a file, a pattern, or a data set of the `datasets` library."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from lightformer.data.cache import file_digest
from lightformer.data.files import Record, read_records, read_text, suffix
from lightformer.errors import ConfigError, DataError, did_you_mean

Names = str | Sequence[str] | None

HUB = "datasets:"
"""Begins the name of a data set, as in `datasets:stanfordnlp/imdb:train`, or with a configuration,
`datasets:Salesforce/wikitext@wikitext-2-raw-v1:train`."""


def listed(names: Names) -> list[str]:
    """Returns one name, several or none, as a list."""
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def expand(names: Names, option: str) -> list[str]:
    """Returns the files that names and patterns stand for, sorted within a pattern.

    Args:
        names: paths, patterns such as `texts/**/*.txt`, or names of data sets
        option: the option that they come from, for messages

    Raises:
        DataError: there is no such file.
    """
    found: list[str] = []
    for name in listed(names):
        if name.startswith(HUB):
            found.append(name)
            continue
        path = Path(name).expanduser()
        if path.is_dir():
            raise DataError(f"{option}: {name} is a folder; write {path / '*.txt'} or the like.")
        if path.is_file():
            suffix(path)
            found.append(str(path))
            continue
        matches = sorted(m for m in glob.glob(str(path), recursive=True) if Path(m).is_file())
        if not matches:
            raise DataError(f"{option}: there is no file {name}.{_near(path)}")
        for match in matches:
            suffix(Path(match))
        found += matches
    return list(dict.fromkeys(found))


def _near(path: Path) -> str:
    """The files beside a missing one, as far as they are few."""
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either."
    beside = [p.name for p in path.parent.iterdir() if p.is_file()][:20]
    return did_you_mean(path.name, beside, f"In {path.parent}")


def fingerprints(files: Sequence[str]) -> dict[str, str]:
    """Returns a digest of what each file holds."""
    return {name: name if name.startswith(HUB) else file_digest(Path(name)) for name in files}


def records(name: str, encoding: str) -> Iterator[Record]:
    """Yields the records of a file or a data set."""
    if name.startswith(HUB):
        yield from _hub(name)
    else:
        yield from read_records(Path(name), encoding)


def texts(name: str, encoding: str, separator: str | None) -> Iterator[str]:
    """Yields the documents of a .txt file: the whole of it, or what stands between separators."""
    text = read_text(Path(name), encoding)
    if separator is None:
        yield text
    else:
        yield from (part.strip("\n") for part in text.split(separator) if part.strip())


def _hub(name: str) -> Iterator[Record]:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"{name} needs the datasets library; "
            "install it with pip install 'lightformer[datasets]'."
        ) from error
    title, _, split = name.removeprefix(HUB).partition(":")
    path, _, configuration = title.partition("@")
    if not path or not split:
        raise ConfigError(
            f"A data set is named as datasets:NAME:SPLIT or datasets:NAME@CONFIGURATION:SPLIT, "
            f"not {name}."
        )
    try:
        rows = datasets.load_dataset(path, configuration or None, split=split, streaming=True)
    except Exception as error:  # of many kinds: network, name, split, access
        reason = " ".join(str(error).split())
        raise DataError(f"{name} cannot be loaded ({reason}).") from error
    for number, row in enumerate(rows, start=1):
        yield f"{name}, row {number}", row
