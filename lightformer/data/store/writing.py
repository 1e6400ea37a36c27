"""Writing a store, shard by shard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import lightformer
from lightformer.data.folders import claim, writing
from lightformer.data.sentences import Document
from lightformer.data.store.encoder import Encoded
from lightformer.data.store.encoding import encode_all
from lightformer.data.store.growing import state_of
from lightformer.data.store.journal import Journal
from lightformer.data.store.layout import (
    DOCUMENTS,
    FORMAT,
    LABELS,
    META,
    SENTENCES,
    SHARDS,
    TOKENIZER,
    TOKENS,
    WIDE,
    digest_of,
    token_dtype,
)
from lightformer.data.store.progress import Progress
from lightformer.data.store.shards import Shard, cut
from lightformer.errors import DataError
from lightformer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from lightformer.data.reading import Reading

SHARD = 1 << 20
"""Characters of a shard: less than a second of work for one core."""


def write_store(
    target: Path,
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    separator: int | None,
    sources: Mapping[str, str] | None = None,
    *,
    name: str | None = None,
    reading: Reading | None = None,
    labels: Sequence[str] = (),
    shard: int = SHARD,
) -> None:
    """Writes documents as tokens; `target` appears when it is whole.

    What was begun of the same and not finished is gone on with. Of two processes, one waits for the other.

    Args:
        target: folder to make; where it is there already, nothing is done
        documents: what to write, read once, a piece at a time
        tokenizer: makes the tokens
        separator: token to put after each document, if any
        sources: where the documents come from, with a digest of each
        name: of the documents, for messages; as the target, where not given
        reading: how the reading goes, for the progress bar and for the rows that are skipped
        labels: names of the classes, where documents have such
        shard: number of characters that are written together

    Raises:
        DataError: there are no tokens in it.
        StorageError: it cannot be written.
    """
    name = name or target.name
    plan: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "labels": list(labels),
        "tokenizer": tokenizer.fingerprint,
        "separator": separator,
        "sources": dict(sources or {}),
        "shard": shard,
    }
    with claim(target) as folder:
        if folder is None:
            return
        with writing(target):
            journal = Journal(folder, plan)
        writer = _Writer(journal, token_dtype(tokenizer.vocabulary.size), separator)
        try:
            with Progress(name, reading, target) as progress:
                shards = cut(documents, shard, journal.last.place)
                for done, encoded in encode_all(shards, tokenizer, writer.dtype):
                    with writing(target):
                        writer.add(done, encoded)
                    progress.show(writer.documents, writer.tokens)
                if not writer.tokens:
                    raise DataError(
                        f"There is no text in {', '.join(plan['sources']) or name}: "
                        "not one token came out of it."
                    )
                with writing(target):
                    writer.end()
                    (folder / TOKENIZER).write_text(tokenizer.to_json(), encoding="utf-8")
                    _write_meta(folder, plan, writer, tokenizer, reading)
        except ChildProcessError as error:
            raise DataError(
                f"{name}: a process that makes tokens was killed; mostly there is too little memory. "
                "The same command goes on where it was."
            ) from error
        except OSError:
            raise  # when the disk has room again, this goes on
        except Exception:
            shutil.rmtree(folder)
            raise
        finally:
            journal.close()


class _Writer:
    """Adds shards to the files of a store.

    A border is written when what follows it begins, so that a separator can be put before it, in whichever shard the
    text before it was.
    """

    def __init__(self, journal: Journal, dtype: np.dtype[Any], separator: int | None) -> None:
        self.journal = journal
        self.dtype = dtype
        self.separator = separator

    @property
    def tokens(self) -> int:
        return self.journal[TOKENS].size // self.dtype.itemsize

    @property
    def sentences(self) -> int:
        return self.journal[SENTENCES].size // WIDE.itemsize

    @property
    def documents(self) -> int:
        return self.journal[DOCUMENTS].size // WIDE.itemsize

    def add(self, shard: Shard, encoded: Encoded) -> None:
        """Writes a shard, and notes that it is written."""
        lengths, ends = encoded.lengths, np.array(shard.ends, dtype=np.int64)
        begun = np.zeros(len(ends) + 1, dtype=bool)  # which documents have tokens before the shard
        begun[0] = self.journal.last.begun
        document = np.searchsorted(ends, np.arange(len(lengths)), side="right")  # of each piece
        kept = np.flatnonzero(lengths) if not shard.labelled else np.arange(len(lengths))
        first = np.searchsorted(document[kept], np.arange(len(ends) + 2))
        filled = np.diff(first) > 0  # which documents have pieces in the shard

        cuts = np.concatenate([[0], np.cumsum(lengths)])
        separated = (
            np.flatnonzero((begun | filled)[:-1]) if self.separator is not None else ends[:0]
        )
        before = np.searchsorted(separated, document[kept])  # separators in front of each piece
        starts = self.tokens + cuts[kept] + before
        openings = self.sentences + first[:-1][filled & ~begun]
        tokens = np.insert(encoded.tokens, cuts[ends[separated]], self.separator or 0)

        self._append(TOKENS, tokens.astype(self.dtype))
        self._append(SENTENCES, starts)
        self._append(DOCUMENTS, openings)
        if shard.labelled:
            self._append(LABELS, shard.labels)
        self.journal.note(shard.place, bool((begun | filled)[-1]))

    def end(self) -> None:
        """Writes where the last sentence and the last document end."""
        ends = self.tokens, self.sentences
        self._append(SENTENCES, [ends[0]])
        self._append(DOCUMENTS, [ends[1]])

    def _append(self, name: str, values: npt.ArrayLike) -> None:
        dtype = self.dtype if name == TOKENS else WIDE
        self.journal[name].append(np.ascontiguousarray(values, dtype=dtype))


def _write_meta(
    folder: Path,
    plan: Mapping[str, Any],
    writer: _Writer,
    tokenizer: Tokenizer,
    reading: Reading | None,
) -> None:
    states = {**writer.journal.states, **{n: state_of(folder / n) for n in (SHARDS, TOKENIZER)}}
    meta = {
        "format": FORMAT,
        "name": plan["name"],
        "documents": writer.documents - 1,
        "sentences": writer.sentences - 1,
        "tokens": writer.tokens,
        "dtype": writer.dtype.str,
        "labelled": LABELS in states,
        "labels": plan["labels"],
        "separator": writer.separator,
        "tokenizer": {
            "fingerprint": tokenizer.fingerprint,
            "kind": json.loads(tokenizer.to_json())["model"]["type"],
            "size": tokenizer.vocabulary.size,
        },
        "sources": plan["sources"],
        "skipped": {
            "rows": reading.skipped if reading else 0,
            "first": list(reading.first) if reading else [],
        },
        "files": {n: {"bytes": size, "blake2b": digest} for n, (size, digest) in states.items()},
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "lightformer": lightformer.__version__,
    }
    text = json.dumps({**meta, "digest": digest_of(meta)}, indent=2, ensure_ascii=False)
    (folder / META).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
