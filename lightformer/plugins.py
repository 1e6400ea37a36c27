"""Where plugins come from, and how they are loaded.

A plugin is a Python module that registers parts (or defines tasks and data modules). It comes from

1. an installed package, by an entry point in the group `lightformer.plugins`;
2. the folder `plugins` of the working directory: each `*.py` that does not start with `_`;
3. `--plugins` or `plugins:` in a config: a module by its name, or a file by its path.

This module imports the standard library alone.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lightformer.errors import LightformerError, PluginError, did_you_mean
from lightformer.importing import import_source

GROUP = "lightformer.plugins"
FOLDER = "plugins"
SWITCH = "LIGHTFORMER_LOCAL_PLUGINS"
"""Environment variable; `0` turns the folder of the working directory off."""

_loaded: dict[str, str] = {}


@dataclass(frozen=True)
class Source:
    """One plugin that was found, but not run.

    Args:
        label: how it is called in lists and messages
        target: the module's name, or the file's full path
        local: whether it was found in the working directory without being asked for
    """

    label: str
    target: str
    local: bool = False

    @property
    def is_file(self) -> bool:
        return self.target.endswith(".py")


def find_sources(given: Iterable[str] = (), folder: Path | str | None = FOLDER) -> list[Source]:
    """Returns the plugins that there are, each once, in the order in which they are loaded.

    Args:
        given: modules and files that the user names
        folder: folder of local plugins; None for no local plugins

    Raises:
        PluginError: a module or file that was named does not exist.
    """
    found = {source.target: source for source in (*_installed(), *_local(folder))}
    for name in given:
        source = _named(name)
        found.setdefault(source.target, source)
    return list(found.values())


def load_plugins(
    given: Iterable[str] = (), folder: Path | str | None = FOLDER, *, quiet: bool = False
) -> dict[str, str]:
    """Imports every plugin, each once, and returns what is loaded by now.

    Args:
        given: modules and files that the user names
        folder: folder of local plugins; None for no local plugins
        quiet: leave out the line about local files, which run code that nobody asked for

    Raises:
        PluginError: a plugin does not exist, or has an error; the message names its file and line.
    """
    new = [s for s in find_sources(given, folder) if s.target not in _loaded.values()]
    local = [source.label for source in new if source.local]
    if local and not quiet and os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"plugins: {', '.join(local)}", file=sys.stderr, flush=True)
    for source in new:
        _load(source)
    return loaded()


def loaded() -> dict[str, str]:
    """Returns the plugins of this process: where each label came from (a module or a full path)."""
    return dict(_loaded)


def _load(source: Source) -> None:
    try:
        import_source(source.target)
    except (Exception, SystemExit) as error:
        said = str(error) if isinstance(error, LightformerError) else _said(error)
        raise PluginError(
            f"Plugin {source.label} has an error at {_place(source, error)}: {said}"
        ) from error
    _loaded[source.label] = source.target


def _said(error: BaseException) -> str:
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return f"{type(error).__name__}: {text.rstrip('.')}."


def _place(source: Source, error: BaseException) -> str:
    """File and line of the plugin where the error arose."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_nearby(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    machinery = (__file__, sys.modules[import_source.__module__].__file__)
    own = [f for f in frames if f.filename not in machinery and "importlib" not in f.filename]
    root = Path(source.target).name if source.is_file else source.target.split(".")[0]
    inside = [
        f
        for f in own
        if root in Path(f.filename).with_suffix("").parts or f.filename == source.target
    ]
    for frame in reversed(inside or own):
        return f"{_nearby(frame.filename)}:{frame.lineno}"
    return source.target


def _nearby(file: str) -> str:
    """The path from the working directory, where the file lies below it."""
    path, here = Path(file), Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else file


def _installed() -> Iterator[Source]:
    for point in importlib.metadata.entry_points(group=GROUP):
        yield Source(f"entry point {point.name}", point.module)


def _local(folder: Path | str | None) -> Iterator[Source]:
    if folder is None or os.environ.get(SWITCH) == "0":
        return
    for path in sorted(Path(folder).glob("[!_]*.py")):
        if path.is_file():
            yield Source(path.as_posix(), str(path.resolve()), local=True)


def _named(name: str) -> Source:
    if name.endswith(".py") or "/" in name:
        path = Path(name)
        if not path.is_file() or path.suffix != ".py":
            known = [p.as_posix() for p in path.parent.glob("*.py")]
            raise PluginError(
                f"There is no plugin file {name!r}.{did_you_mean(name, known, 'Files there')}"
            )
        return Source(name, str(path.resolve()))
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)  # last, so that no file of the user hides an installed module
    if not all(part.isidentifier() for part in name.split(".")) or find_module(name) is None:
        files, packages = Path().glob("*.py"), Path().glob("*/__init__.py")
        known = [path.stem for path in files] + [path.parent.name for path in packages]
        hint = did_you_mean(name, known, "Modules here")
        raise PluginError(f"There is no module {name!r} to load as a plugin.{hint}")
    return Source(name, name)


def find_module(name: str) -> Path | None:
    """Returns the file of a module, without importing anything, or None."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations is None:
        return Path(spec.origin) if spec.origin and not rest else None
    for root in spec.submodule_search_locations:
        path = Path(root, *rest)
        for candidate in (path / "__init__.py", path.with_suffix(".py") if rest else path):
            if candidate.is_file():
                return candidate
        if path.is_dir() and any(path.glob("*.py")):
            return path  # a package without __init__.py
    return None
