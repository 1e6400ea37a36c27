"""The running Python's own documentation, as text. Nothing is imported to read it."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_SKIPPED = {
    "test",
    "tests",
    "idle_test",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "pydoc_data",
    "ensurepip",
    "turtledemo",
    "encodings",  # a hundred tables with the same sentence
    "_vendor",
    "_bundled",
    "__pycache__",
    "lib-dynload",
}

VERSION = f"Python {sys.version.split()[0]}"


@lru_cache(maxsize=1)
def module_docs() -> dict[str, list[str]]:
    """Returns the docstrings of each module of the standard library; each text only once."""
    root = Path(sysconfig.get_path("stdlib"))
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if _SKIPPED.intersection(parts) or any(p.startswith("config-") for p in parts):
            continue
        docs = [doc for doc in dict.fromkeys(_docstrings(path)) if doc not in seen]
        seen.update(docs)
        if docs:
            found[".".join(parts).removesuffix(".__init__")] = docs
    return found


def _docstrings(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return  # templates and examples of faults
    for node in sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", 0)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            doc = ast.get_docstring(node, clean=False)
            cleaned = inspect.cleandoc(doc) if doc else ""
            if cleaned:
                yield cleaned


@lru_cache(maxsize=1)
def topics() -> dict[str, str]:
    """Returns the topics of `help()`, the reference of the language.

    Left out are those that are a part of a longer one, such as `for`, which is a part of `compound`.
    """
    from pydoc_data import topics as data

    texts = {name: inspect.cleandoc(text) for name, text in data.topics.items()}
    kept: dict[str, str] = {}
    seen: set[str] = set()
    for name in sorted(texts, key=lambda name: (-len(texts[name]), name)):
        paragraphs = texts[name].split("\n\n")
        if sum(paragraph in seen for paragraph in paragraphs) < len(paragraphs) / 2:
            kept[name] = texts[name]
            seen.update(paragraphs)
    return dict(sorted(kept.items()))


def place(name: str) -> float:
    """Returns a number in [0, 1) that depends on a name alone."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64
