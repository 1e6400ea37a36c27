"""`lightformer plugins list` and `lightformer plugins show KIND NAME`, which run nothing of what they read."""

from __future__ import annotations

import textwrap

from lightformer.catalogue.index import BASES, read_catalogue
from lightformer.cli.help import entry_text
from lightformer.cli.plugins import Request
from lightformer.errors import ConfigError, did_you_mean
from lightformer.registry import KINDS


def list_parts(request: Request) -> int:
    """Prints what there is to choose from, a line each."""
    catalogue, only = read_catalogue(request.plugins, request.folder), request.options.get("kind")
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


def show_part(request: Request) -> int:
    """Prints all there is to say of one part, task or data module."""
    kind, name = request.words
    catalogue = read_catalogue(request.plugins, request.folder)
    print(entry_text(catalogue.find(kind, name)), end="")
    return 0
