"""Reading a store: what is in it is mapped into memory, never copied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightformer.data.cache import file_digests
from lightformer.data.store.layout import (
    DOCUMENTS,
    FORMAT,
    LABELS,
    META,
    SENTENCES,
    TOKENS,
    WIDE,
    digest_of,
)
from lightformer.errors import DataError
from lightformer.examples import Corpus


def read_meta(folder: Path) -> dict[str, Any]:
    """Returns what `meta.json` says of a store.

    Raises:
        DataError: there is no store, it is of another version, or `meta.json` is not what was written.
    """
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
        found = meta["format"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"{folder} is no store of tokens, since it has no {META}; "
            "name a folder that lightformer prepare has made."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, f"{META} cannot be read") from error
    if found != FORMAT:
        raise DataError(
            f"{folder} has format {found}, but this version reads {FORMAT}; "
            "delete the folder, it is made again."
        )
    if meta.pop("digest", None) != digest_of(meta):
        raise _damaged(folder, f"{META} is not what was written")
    return meta


def open_store(folder: Path) -> Corpus:
    """Maps a store into memory.

    Raises:
        DataError: it is not whole.
    """
    meta = read_meta(folder)
    try:
        for name, file in meta["files"].items():
            size = (folder / name).stat().st_size
            if size != file["bytes"]:
                raise _damaged(
                    folder, f"{name} should hold {file['bytes']:,} bytes and holds {size:,}"
                )
        return Corpus(
            tokens=_map(folder / TOKENS, np.dtype(meta["dtype"])),
            sentences=_map(folder / SENTENCES, WIDE),
            documents=_map(folder / DOCUMENTS, WIDE),
            separator=meta["separator"],
            labels=_map(folder / LABELS, WIDE) if meta["labelled"] else None,
        )
    except DataError:
        raise
    except OSError as error:
        file = Path(error.filename or folder).name
        raise _damaged(folder, f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise _damaged(folder, str(error)) from error


def verify_store(folder: Path, memory: Path | None = None) -> None:
    """Compares every byte of a store with what was written.

    Args:
        folder: of the store
        memory: folder in which the digest of each file is remembered with its size, its times and its inode; a file of
            which these are as they were is not read again. All are read, where not given

    Raises:
        DataError: something in it has changed.
    """
    open_store(folder)
    files = read_meta(folder)["files"]
    found = file_digests([str(folder / name) for name in files], memory)
    for (name, file), digest in zip(files.items(), found.values(), strict=True):
        if digest != file["blake2b"]:
            raise _damaged(folder, f"{name} is not what was written")


def _map(path: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.memmap(path, dtype=dtype, mode="r")


def _damaged(folder: Path, reason: str) -> DataError:
    return DataError(f"{folder} is damaged ({reason}); delete the folder, it is made again.")
