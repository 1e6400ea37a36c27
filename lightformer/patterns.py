"""Names chosen by patterns, such as `backbone.blocks.*.attention.query`; `*` stands for any text, with its dots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase

from lightformer.errors import ConfigError


def matching(patterns: Iterable[str], names: Iterable[str], option: str, what: str) -> list[str]:
    """Returns the names that a pattern matches, in their order.

    Args:
        patterns: any number
        names: to choose from
        option: where the patterns stand, for messages
        what: the names are of, for messages

    Raises:
        ConfigError: a pattern matches nothing; the nearest that would is named.
    """
    names, found = list(names), set[str]()
    for pattern in patterns:
        matched = {name for name in names if fnmatchcase(name, pattern)}
        if not matched:
            raise ConfigError(
                f"{option} has {pattern!r}, which matches no {what}.{_hint(pattern, names)}"
            )
        found |= matched
    return [name for name in names if name in found]


def _hint(pattern: str, names: list[str]) -> str:
    wholes = names if any(map(str.isdigit, pattern)) else list(map(_any_number, names))
    forms = list(dict.fromkeys(form for whole in wholes for form in _forms(whole)))
    near = get_close_matches(pattern, forms, n=3, cutoff=0.6)
    if near:
        return f" Did you mean {' or '.join(map(repr, near))}?"
    return f" There are: {', '.join(dict.fromkeys(map(_any_number, names))) or 'none'}."


def _forms(name: str) -> Iterator[str]:
    """Patterns that match a name: all of it, and all but its start or its end."""
    parts = name.split(".")
    yield name
    for n in range(1, len(parts)):
        yield ".".join(["*", *parts[n:]])
        yield ".".join([*parts[:n], "*"])


def _any_number(name: str) -> str:
    return ".".join("*" if part.isdigit() else part for part in name.split("."))
