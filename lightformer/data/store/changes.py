"""What is other than when the same text was last prepared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightformer.data.folders import drop, say
from lightformer.data.store.journal import plan_of
from lightformer.data.store.layout import META
from lightformer.data.store.reading import read_meta
from lightformer.errors import DataError


def note_changes(folder: Path, name: str, tokenizer: str, sources: Mapping[str, str]) -> None:
    """Says what has changed since text of this name was begun, or made of the same sources.

    A store stays. What was begun stays too, for who wants it again, but where a source has another content now: then
    nobody can go on with it, and it is dropped.

    Args:
        folder: of all stores
        name: of the documents
        tokenizer: its fingerprint
        sources: with a digest of each
    """
    for begun in sorted(folder.glob(f".{name}-*.partial")):
        plan = plan_of(begun)
        if plan is None or plan["name"] != name:
            continue
        changed = _changed(plan["sources"], sources)
        if changed and drop(begun):
            say(f"{name}: {changed} since it was begun; what was done of it is dropped.")
    found = sorted(folder.glob(f"{name}-*/{META}"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        try:
            meta = read_meta(path.parent)
        except DataError:
            continue  # of another version, or damaged
        if meta["name"] == name and set(meta["sources"]) == set(sources):
            same = meta["tokenizer"]["fingerprint"] == tokenizer
            other = "the options have changed" if same else "the tokenizer is another"
            other = _changed(meta["sources"], sources) or other
            say(f"{name}: {other} since {path.parent} was made; it is prepared anew.")
            return


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Returns which sources have another content, as the beginning of a sentence; nothing, where none has."""
    found = [
        name for name in now if name in before and _content(before[name]) != _content(now[name])
    ]
    return f"{', '.join(found)} {'has' if len(found) == 1 else 'have'} changed" if found else ""


def _content(digest: str) -> str:
    """The digest of a source without what is said of how it is read."""
    return digest.split(", ")[0]
