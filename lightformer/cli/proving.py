"""`lightformer plugins check KIND NAME` and `lightformer plugins matrix`: what is proved of parts, as tables."""

from __future__ import annotations

import dataclasses
import os
from functools import partial
from pathlib import Path
from typing import Any

from lightformer.catalogue.index import read_catalogue
from lightformer.cli.check import check_part_options
from lightformer.cli.command_line import canonical
from lightformer.cli.document import parse_value
from lightformer.cli.plugins import Request
from lightformer.errors import ConfigError, StorageError, did_you_mean
from lightformer.plugins import load_plugins
from lightformer.registry import KINDS


def check_part(request: Request) -> int:
    """Tries a part in the form that was asked for, or in each form that it was registered with."""
    kind, name = request.words
    if kind not in KINDS:
        raise ConfigError(f"There is no kind {kind!r} of part.{did_you_mean(kind, KINDS, 'Kinds')}")
    catalogue = read_catalogue(request.plugins, request.folder)
    if not catalogue.dynamic:
        catalogue.find(kind, name)  # a slip of the pen is answered before torch is imported
    given = request.options.get("options")
    asked = None if given is None else _canonical_options(given)
    if asked is not None:
        check_part_options(kind, name, asked, catalogue)
    load_plugins(request.plugins, request.folder)

    from lightformer.registry import find
    from lightformer.testing.pool import in_processes

    forms = find(kind, name).forms if asked is None else (asked,)
    skip = [word for word in request.options.get("skip", "").split(",") if word]
    tables = in_processes(
        partial(_try, kind, name, _sizes(request.options.get("sizes", "{}")), skip),
        forms,
        processes=min(len(forms), os.cpu_count() or 1),
        plugins=request.plugins,
        folder=request.folder,
    )
    broken = False
    for table, is_broken in tables:
        print(table, end="\n\n")
        broken |= is_broken
    return 1 if broken else 0


def _try(
    kind: str, name: str, sizes: dict[str, int], skip: list[str], form: dict[str, Any]
) -> tuple[str, bool]:
    """Returns the table of one form of a part, and whether a promise is broken."""
    from lightformer import testing
    from lightformer.plain import from_plain
    from lightformer.registry import contract

    spec = from_plain(contract(kind), {"name": name, **form}, kind)
    report = testing.check(spec, sizes=testing.Sizes(**sizes), skip=skip)
    return str(report), bool(report.broken)


def print_matrix(request: Request) -> int:
    """Tries every attention with every position and wiring, or those that were asked for, in all their forms."""
    page = page_of(request)
    attentions, positions, blocks = load_named(request, "attention", "position", "block")

    from lightformer.testing.forms import forms_of
    from lightformer.testing.matrix import matrix
    from lightformer.testing.sheet import Sheet

    cells = matrix(
        forms_of("attention", attentions),
        forms_of("position", positions),
        forms_of("block", blocks),
        processes=min(8, os.cpu_count() or 1),
        plugins=request.plugins,
        folder=request.folder,
    )
    sheet = Sheet(cells)
    print(sheet)
    if page is not None:
        write_page(page, sheet.markdown())
    return 1 if sheet.counts["broken"] else 0


def load_named(request: Request, *kinds: str) -> list[list[str] | None]:
    """Loads all plugins, and returns which parts of each kind were named; None where all are meant.

    Raises:
        ConfigError: there is no part of that name.
    """
    catalogue = read_catalogue(request.plugins, request.folder)
    given = [request.options.get(kind) for kind in kinds]
    named = [None if names is None else names.split(",") for names in given]
    for kind, names in zip(kinds, named, strict=True):
        for name in names or () if not catalogue.dynamic else ():
            catalogue.find(kind, name)  # a slip of the pen is answered before torch is imported
    load_plugins(request.plugins, request.folder)
    return named


def page_of(request: Request) -> Path | None:
    """Returns the file of the page that was asked for, if one was, before there is anything to write.

    Raises:
        StorageError: it cannot be written.
    """
    if "markdown" not in request.options:
        return None
    path = Path(request.options["markdown"])
    is_new = not path.exists()
    write_page(path, "", mode="a")
    if is_new:
        path.unlink()
    return path


def write_page(path: Path, text: str, mode: str = "w") -> None:
    """Writes a page.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error


def _canonical_options(text: str) -> dict[str, Any]:
    return {key: canonical(value, key) for key, value in _mapping(text, "options").items()}


def _mapping(text: str, option: str) -> dict[str, Any]:
    value = parse_value(text)
    if not isinstance(value, dict):
        raise ConfigError(
            f"--{option} must be a mapping, such as '{{window: 3}}', but is {text!r}."
        )
    return value


def _sizes(text: str) -> dict[str, Any]:
    from lightformer.testing import Sizes

    given, known = _mapping(text, "sizes"), [f.name for f in dataclasses.fields(Sizes)]
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"--sizes: there is no size {name!r}.{did_you_mean(name, known)}")
        if type(value) is not int or value < 1:
            raise ConfigError(f"--sizes: {name} must be a whole number above 0, but is {value!r}.")
    return given
