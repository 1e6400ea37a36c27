"""Tokens on disk: written once, then mapped into memory, so that text may be larger than memory.

meta.json        what is in it, for people and for checks
tokens.bin       every token, little-endian, two bytes each where they fit, else four
sentences.npy    where each sentence starts in the tokens
documents.npy    where each document starts in the sentences
labels.npy       the class of each document, if it has one
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from lightformer.data.cache import publish
from lightformer.data.sentences import Document
from lightformer.data.tokenizer import Tokenizer
from lightformer.errors import DataError
from lightformer.examples import Corpus

FORMAT = 1

_CHUNK = 1 << 20  # characters that are encoded at a time


def write_store(
    target: Path,
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    separator: int | None,
    sources: Any = None,
) -> None:
    """Writes documents as tokens; `target` appears when it is whole.

    Args:
        target: folder to make; if another process makes it meanwhile, that one stays
        documents: what to write, read once, a part at a time
        tokenizer: makes the tokens
        separator: token to put after each document, if any
        sources: plain data that names where the documents come from, for `meta.json`

    Raises:
        DataError: there are no tokens in it.
    """
    dtype = np.dtype("<u2" if tokenizer.vocabulary.size <= 1 << 16 else "<u4")
    ends, borders, labels = array("q", [0]), array("q", [0]), array("q")
    with publish(target) as folder:
        with (folder / "tokens.bin").open("wb") as file:
            for chunk in _chunks(documents):
                pieces = [piece for document in chunk for piece in document.pieces]
                encoded = iter(tokenizer.encode_pieces(pieces))
                written: list[list[int]] = []
                for document in chunk:
                    sentences = [next(encoded) for _ in document.pieces]
                    if document.label is None:
                        sentences = [sentence for sentence in sentences if sentence]
                        if not sentences:
                            continue
                    else:
                        labels.append(document.label)
                    if separator is not None:
                        sentences[-1] = [*sentences[-1], separator]
                    for sentence in sentences:
                        ends.append(ends[-1] + len(sentence))
                    borders.append(len(ends) - 1)
                    written += sentences
                np.fromiter(chain.from_iterable(written), dtype=dtype).tofile(file)
        if ends[-1] == 0:
            raise DataError(f"There is no text in {_named(sources)}: not one token came out of it.")
        np.save(folder / "sentences.npy", np.array(ends))
        np.save(folder / "documents.npy", np.array(borders))
        if labels:
            np.save(folder / "labels.npy", np.array(labels))
        meta = {
            "format": FORMAT,
            "tokens": ends[-1],
            "sentences": len(ends) - 1,
            "documents": len(borders) - 1,
            "labelled": bool(labels),
            "dtype": dtype.str,
            "separator": separator,
            "tokenizer": tokenizer.fingerprint,
            "sources": sources,
        }
        text = json.dumps(meta, indent=2, ensure_ascii=False, default=str)
        (folder / "meta.json").write_text(text + "\n", encoding="utf-8")


def _chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    chunk, size = [], 0
    for document in documents:
        chunk.append(document)
        size += sum(map(len, document.pieces))
        if size > _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _named(sources: Any) -> str:
    if isinstance(sources, dict):
        return ", ".join(map(str, sources)) or "the data"
    return str(sources or "the data")


def open_store(folder: Path) -> Corpus:
    """Maps a store into memory.

    Raises:
        DataError: it is not whole.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise DataError(
                f"{folder} has format {meta['format']}, but this version reads {FORMAT}; "
                "delete the folder, it is made again."
            )
        corpus = Corpus(
            tokens=np.memmap(folder / "tokens.bin", dtype=meta["dtype"], mode="r"),
            sentences=np.load(folder / "sentences.npy", mmap_mode="r"),
            documents=np.load(folder / "documents.npy", mmap_mode="r"),
            separator=meta["separator"],
            labels=np.load(folder / "labels.npy") if meta["labelled"] else None,
        )
        found = (len(corpus.tokens), len(corpus.sentences) - 1, corpus.num_documents)
        expected = (meta["tokens"], meta["sentences"], meta["documents"])
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise _damaged(folder, str(error)) from error
    if found != expected:
        raise _damaged(folder, f"it should hold {expected[0]} tokens and holds {found[0]}")
    return corpus


def _damaged(folder: Path, reason: str) -> DataError:
    return DataError(f"{folder} is damaged ({reason}); delete the folder, it is made again.")
