"""`lightformer plugins list` and `lightformer plugins show KIND NAME`."""

from __future__ import annotations

import os
import textwrap

from lightformer.catalogue.index import BASES, Catalogue, read_catalogue
from lightformer.cli.command_line import NO_LOCAL, plugin_names
from lightformer.cli.document import parse_value
from lightformer.cli.help import entry_text
from lightformer.errors import ConfigError, did_you_mean
from lightformer.plugins import FOLDER, SWITCH
from lightformer.registry import KINDS

USAGE = """usage: lightformer plugins list [--kind KIND]
       lightformer plugins show KIND NAME

options: --plugins MODULE_OR_FILE, --no-local-plugins
"""


def plugins(_command: str, arguments: list[str]) -> int:
    """Prints what there is to choose from. Nothing of it is imported."""
    words, kind, given = [], None, list[str]()
    folder = None if os.environ.get(SWITCH) == "0" else FOLDER
    todo = list(arguments)
    while todo:
        word, _, value = todo.pop(0).partition("=")
        if word in ("--help", "-h"):
            print(USAGE, end="")
            return 0
        if word == NO_LOCAL:
            folder = None
        elif word in ("--kind", "--plugins"):
            value = value or (todo.pop(0) if todo else "")
            kind, given = (
                (value, given)
                if word == "--kind"
                else (kind, given + plugin_names(parse_value(value)))
            )
        else:
            words.append(word)
    if words[:1] == ["list"] and len(words) == 1:
        return _list(read_catalogue(given, folder), kind)
    if words[:1] == ["show"] and len(words) == 3:
        return _show(read_catalogue(given, folder), words[1], words[2])
    known = ["list", "show", "--kind", "--plugins", NO_LOCAL]
    wrong = next((w for w in words if w not in ("list", "show") and words[0] != "show"), "")
    hint = f" {wrong!r} is unknown.{did_you_mean(wrong, known)}" if wrong else ""
    raise ConfigError(f"Write `plugins list`, or `plugins show KIND NAME`.{hint}")


def _list(catalogue: Catalogue, only: str | None) -> int:
    kinds = [*KINDS, *BASES]
    if only is not None and only not in kinds:
        raise ConfigError(f"There is no kind {only!r}.{did_you_mean(only, kinds, 'Kinds')}")
    for kind in kinds if only is None else [only]:
        names = catalogue.names(kind)
        width = max(map(len, names), default=0)
        if names:
            print(kind)
        for name in names:
            entry = catalogue.find(kind, name)
            origin = "" if entry.source == "built-in" else f"  [{entry.source}]"
            room = 100 - width - len(origin) - 4
            summary = textwrap.shorten(entry.summary, room, placeholder=" ...")
            print(f"  {name:{width}}  {summary}{origin}")
    for label in catalogue.dynamic:
        print(f"{label} may register more when it runs; what it names in a loop cannot be read.")
    return 0


def _show(catalogue: Catalogue, kind: str, name: str) -> int:
    print(entry_text(catalogue.find(kind, name)), end="")
    return 0
