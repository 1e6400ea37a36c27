"""Importing a plugin: a module by its name, or a file by its path."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from lightformer.errors import PluginError

PACKAGE = "lightformer_plugins"
"""The package that files are imported into."""

_sources: list[str] = []  # the plugins that are being imported, innermost last
_imported: list[str] = []  # those that were, in order


def current_source() -> str | None:
    """Returns the plugin that is being imported, as given to `import_source`; None outside of one."""
    return _sources[-1] if _sources else None


def imported_sources() -> list[str]:
    """Returns the plugins that were imported here, so that another process can import them too."""
    return list(_imported)


def revive(sources: list[str], module: str, name: str) -> Any:
    """Unpickles an object of a class that a plugin may define, in a process that may not know it yet.

    Args:
        sources: plugins to import first
        module: of the class
        name: of the class
    """
    for source in sources:
        import_source(source)
    cls = getattr(importlib.import_module(module), name)
    return cls.__new__(cls)


def import_source(source: str) -> None:
    """Imports a plugin, once: a module by its name, or a file by its path (`.py`).

    What it registers is marked with `source`, so that another process can import it again.
    """
    _sources.append(source)
    try:
        if source.endswith(".py"):
            _import_file(Path(source).resolve())
        else:
            importlib.import_module(source)
    finally:
        _sources.pop()
    if source not in _imported:
        _imported.append(source)


def _import_file(path: Path) -> None:
    # In a package, so that a class in the file can be found again by its name, in a config or a pickle.
    package = sys.modules.setdefault(PACKAGE, ModuleType(PACKAGE, "Plugins that are single files."))
    package.__path__ = []
    name = f"{PACKAGE}.{path.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(path):
        return
    if loaded is not None:
        raise PluginError(
            f"Two plugin files are called {path.name}: {loaded.__file__} and {path}. Rename one."
        )
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} cannot be imported as Python.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
