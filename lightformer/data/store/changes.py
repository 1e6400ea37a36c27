"""What is other than when the same text was last prepared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightformer.data.folders import drop, partial_of, say
from lightformer.data.store.journal import plan_of
from lightformer.data.store.layout import META
from lightformer.data.store.reading import read_meta
from lightformer.errors import DataError


def note_changes(folder: Path, name: str, tokenizer: str, sources: Mapping[str, str]) -> None:
    """Says what has changed, where there is a store of the same sources; that one stays.

    Args:
        folder: of all stores
        name: of the documents
        tokenizer: its fingerprint
        sources: with a digest of each
    """
    found = sorted(folder.glob(f"{name}-*/{META}"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        try:
            meta = read_meta(path.parent)
        except DataError:
            continue  # of another version, or damaged
        if meta["name"] == name and set(meta["sources"]) == set(sources):
            before = {**meta, "tokenizer": meta["tokenizer"]["fingerprint"]}
            other = difference(before, {"sources": sources, "tokenizer": tokenizer})
            say(f"{name}: {other} since {path.parent} was made; it is prepared anew.")
            return


def drop_begun(target: Path, name: str, tokenizer: str, sources: Mapping[str, str]) -> None:
    """Drops what was begun of the same sources with another content, and says so; what is being made stays.

    Args:
        target: folder of the store that is made now
        name: of the documents
        tokenizer: its fingerprint
        sources: with a digest of each
    """
    for folder in sorted(target.parent.glob(f".{name}-*.partial")):
        plan = plan_of(folder)
        if folder == partial_of(target) or plan is None or set(plan["sources"]) != set(sources):
            continue
        other = difference(plan, {"sources": sources, "tokenizer": tokenizer})
        if drop(folder):
            say(f"{name}: {other} since it was begun; what was done of it is dropped.")


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Returns what has changed, as the beginning of a sentence."""
    old, new = before.get("sources", {}), now["sources"]
    changed = [source for source in new if source in old and old[source] != new[source]]
    if changed:
        return f"{', '.join(changed)} {'has' if len(changed) == 1 else 'have'} changed"
    if set(old) != set(new):
        return "the sources are others"
    same = before.get("tokenizer") == now["tokenizer"]
    return "the options have changed" if same else "the tokenizer is another"
