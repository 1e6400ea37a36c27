"""The options of a part, read off its signature."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any

from lightformer.errors import PluginError

RESERVED = {"name", "class_path", "init_args"}  # how a config spells the part itself
OF_SPECS = {"builds", "forms", "kind", "options", "origin", "part", "replace", "source"}
"""What every spec has beside its options."""


def options_of(label: str, part: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """Returns the keyword-only parameters of a part, as fields of its spec: name, type, dataclass field.

    Args:
        label: what to call the part in a message
        part: a class or function

    Raises:
        PluginError: a parameter is neither given by the model nor a typed option with an immutable default.
    """
    function = part.__init__ if inspect.isclass(part) else part
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise PluginError(
            f"{label}: the type of an option is not importable ({error}); "
            f"import it at the top of the module, and not under TYPE_CHECKING."
        ) from error
    fields = []
    for p in inspect.signature(part).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise PluginError(
                f"{label}: options must be spelt out, but its signature has *{p.name}; "
                f"name each option after a bare *."
            )
        if p.kind is p.POSITIONAL_OR_KEYWORD:
            raise PluginError(
                f"{label}: {p.name!r} is neither given by the model nor an option; put a / after "
                f"what the model gives, and a * before the options."
            )
        if p.kind is p.KEYWORD_ONLY:
            if p.name in RESERVED:
                raise PluginError(
                    f"{label}: an option cannot be called {p.name!r}, which names the part itself "
                    f"in a config; rename it."
                )
            if p.name.startswith("_"):
                raise PluginError(
                    f"{label}: an option cannot be called {p.name!r}; begin its name with a letter."
                )
            if p.name in OF_SPECS:
                raise PluginError(
                    f"{label}: an option cannot be called {p.name!r}, which every spec has already; "
                    f"rename it."
                )
            if p.name not in hints:
                raise PluginError(
                    f"{label}: option {p.name!r} has no type; annotate it, as in {p.name}: float."
                )
            if type(p.default).__hash__ is None:
                raise PluginError(
                    f"{label}: option {p.name!r} has a default that can be changed, {p.default!r}; "
                    f"give a tuple or None."
                )
            default = {} if p.default is p.empty else {"default": p.default}
            fields.append((p.name, hints[p.name], dataclasses.field(**default)))
    return fields
