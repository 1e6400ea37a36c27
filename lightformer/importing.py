"""Importing a plugin: a module by its name, or a file by its path."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from lightformer.errors import PluginError

_sources: list[str] = []  # the plugins that are being imported, innermost last


def current_source() -> str | None:
    """Returns the plugin that is being imported, as given to `import_source`; None outside of one."""
    return _sources[-1] if _sources else None


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


def _import_file(path: Path) -> None:
    name = f"lightformer_plugins.{path.stem}"
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
