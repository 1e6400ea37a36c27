"""The short form of a choice, and the long one that jsonargparse reads.

    attention: {name: gqa, num_kv_heads: 2}
    attention: {class_path: lightformer.attention.gqa, init_args: {num_kv_heads: 2}}

The short form is what a user writes and what is written for users. A name alone needs no mapping.
"""

from __future__ import annotations

from typing import Any

from lightformer.catalogue.index import BASES
from lightformer.registry import KINDS


def choice_of(key: str) -> str:
    """Returns what a key chooses: the kind `norm` for `norm` and for `qk_norm`, a task for `model`; or nothing."""
    word = key if key in BASES else key.rpartition("_")[2]
    return word if key in BASES or word in KINDS else ""


def expand(value: Any, key: str = "") -> Any:
    """Returns the long form of what stands under `key`."""
    if isinstance(value, list):
        return [expand(item, key) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {k: expand(v, k) for k, v in value.items()}
    if choice_of(key) and isinstance(inner.get("name"), str):
        name = inner.pop("name")
        return {"class_path": name, "init_args": inner} if inner else {"class_path": name}
    return inner


def expand_inline(value: Any) -> Any:
    """Returns the long form of a whole file, or of one choice on the command line."""
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return expand(value, "model")
    return expand(value)


def shorten(value: Any, key: str = "") -> Any:
    """Returns the short form of what stands under `key`: a name, or a mapping that has it first."""
    if isinstance(value, list):
        return [shorten(item, key) for item in value]
    if not isinstance(value, dict):
        return value
    if (kind := choice_of(key)) and isinstance(value.get("class_path"), str):
        options = {**value.get("init_args", {}), **value.get("dict_kwargs", {})}
        name = short_name(value["class_path"], kind)
        return {"name": name, **{k: shorten(v, k) for k, v in options.items()}} if options else name
    return {k: shorten(v, k) for k, v in value.items()}


def short_name(path: str, kind: str) -> str:
    """Returns the name by which a class is chosen; that of another package keeps its path."""
    if kind in KINDS:
        return path.removeprefix(f"lightformer.{kind}.")
    own = path.startswith(("lightformer.", "lightformer_plugins."))
    return path.rpartition(".")[2] if own else path
