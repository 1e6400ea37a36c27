"""The forms of parts, by name and options, as rows and columns of a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightformer.plain import from_plain
from lightformer.registry import contract, find, names

Form = tuple[str, tuple[tuple[str, Any], ...]]
"""A part by name, with options as plain data."""


def forms_of(kind: str, only: Iterable[str] | None = None) -> list[Form]:
    """Returns every registered part of a kind, or those that are named, in each of its forms."""
    chosen = names(kind) if only is None else list(only)
    return [(name, tuple(form.items())) for name in chosen for form in find(kind, name).forms]


def first_forms_of(kind: str) -> list[Form]:
    """Returns every registered part of a kind in the first of its forms."""
    return [(name, tuple(find(kind, name).forms[0].items())) for name in names(kind)]


def spec_of(kind: str, form: Form) -> Any:
    """Returns the spec that a form stands for."""
    name, options = form
    return from_plain(contract(kind), {"name": name, **dict(options)})


def label(form: Form) -> str:
    """Returns `gqa(num_kv_heads=2)` for that form of gqa."""
    name, options = form
    inside = ", ".join(f"{key}={_text(value)}" for key, value in options)
    return f"{name}({inside})" if inside else name


def _text(value: Any) -> str:
    return str(value["name"]) if isinstance(value, dict) else str(value)
