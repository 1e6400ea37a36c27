"""Data sets that the `datasets` library loads by their name."""

from __future__ import annotations

from collections.abc import Iterator

from lightformer.data.reading.rows import Needed, Row
from lightformer.errors import ConfigError, DataError

HUB = "datasets:"
"""Begins the name of a data set, as in `datasets:stanfordnlp/imdb:train`, or with a configuration,
`datasets:Salesforce/wikitext@wikitext-2-raw-v1:train`."""


def hub_rows(name: str, needed: Needed = None) -> Iterator[Row]:
    """Yields the rows of a data set, as they come over the network.

    Args:
        name: of the data set
        needed: the columns that are needed, where it is not all; the others, pictures maybe, are not loaded

    Raises:
        ConfigError: the name lacks a part.
        DataError: it cannot be loaded.
    """
    title, _, split = name.removeprefix(HUB).partition(":")
    path, _, configuration = title.partition("@")
    if not path or not split:
        raise ConfigError(
            f"A data set is named as datasets:NAME:SPLIT or datasets:NAME@CONFIGURATION:SPLIT, "
            f"not {name}."
        )
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"{name} needs the datasets library; "
            "install it with pip install 'lightformer[datasets]'."
        ) from error
    try:
        rows = datasets.load_dataset(path, configuration or None, split=split, streaming=True)
        columns = getattr(rows, "column_names", None) or ()  # not every data set tells
        there = [column for column in columns if needed is not None and column in needed]
        if there:
            rows = rows.select_columns(there)
        for number, row in enumerate(rows, start=1):
            yield f"{name}, row {number}", {**dict.fromkeys(columns), **row}
    except Exception as error:  # of many kinds: network, name, split, access
        reason = " ".join(str(error).split())
        raise DataError(f"{name} cannot be loaded ({reason}).") from error
