"""Python modules, read and not run.

What a command line needs to know of a class (its docs, options, bases) stands in its source.
Reading it takes milliseconds, where importing it takes torch, and runs nothing.
This module imports the standard library alone.
"""

from __future__ import annotations

import ast
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from lightformer.errors import PluginError
from lightformer.plugins import find_module

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class Module:
    """A parsed module.

    Args:
        name: its dotted name
        path: its file
        tree: its syntax
    """

    name: str
    path: Path
    tree: ast.Module

    @cached_property
    def definitions(self) -> dict[str, Definition]:
        """Classes and functions at the top of the module."""
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        return {node.name: node for node in self.tree.body if isinstance(node, kinds)}

    @cached_property
    def aliases(self) -> dict[str, ast.expr]:
        """Names that are assigned at the top of the module, such as the alias of a type."""
        found: dict[str, ast.expr] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node.value
            elif (
                isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value
            ):
                found[node.target.id] = node.value
        return found

    @cached_property
    def imports(self) -> dict[str, tuple[str, str | None]]:
        """Local name -> (module, name in that module; None for the module itself)."""
        found: dict[str, tuple[str, str | None]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    local = alias.asname or alias.name.split(".")[0]
                    found[local] = (alias.name if alias.asname else local, None)
            elif isinstance(node, ast.ImportFrom):
                origin = self._absolute(node)
                for alias in node.names:
                    found[alias.asname or alias.name] = (origin, alias.name)
        return found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        is_package = self.path.name == "__init__.py"
        base = parts[: len(parts) - node.level + is_package]
        return ".".join([*base, *([node.module] if node.module else [])])


@cache
def read(name: str) -> Module | None:
    """Returns a module by its dotted name, or None where there is no source to read."""
    path = find_module(name)
    return read_file(path, name) if path is not None and path.suffix == ".py" else None


@cache
def read_file(path: Path, name: str) -> Module:
    """Returns the module in a file.

    Raises:
        PluginError: the file is not Python, where the message names the line, or cannot be read.
    """
    try:
        return Module(name, path, ast.parse(path.read_bytes(), filename=str(path)))
    except OSError as error:
        raise PluginError(f"{path} cannot be read: {error.strerror}.") from error
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise PluginError(f"{path}:{line}: this is not valid Python: {said}.") from error


def resolve(module: Module, node: ast.expr) -> tuple[Module, Definition | ast.expr] | None:
    """Returns what a name stands for: a class, a function, an alias; None if out of sight."""
    if isinstance(node, ast.Name):
        return _lookup(module, node.id, set())
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        local, *rest = owner.split(".")
        if local in module.imports:
            origin, name = module.imports[local]
            full = ".".join([origin, *([name] if name else []), *rest])
            target = read(full) if readable(full, module) else None
            return _lookup(target, node.attr, set()) if target else None
    return None


def _lookup(
    module: Module, name: str, seen: set[tuple[str, str]]
) -> tuple[Module, Definition | ast.expr] | None:
    if (module.name, name) in seen:
        return None
    seen.add((module.name, name))
    if name in module.definitions:
        return module, module.definitions[name]
    if name in module.aliases:
        return module, module.aliases[name]
    origin, original = module.imports.get(name, ("", None))
    if original is None or not readable(origin, module):
        return None
    target = read(origin)
    return _lookup(target, original, seen) if target else None


def readable(name: str, module: Module) -> bool:
    """Whether a module is the package's own, or of the same package as `module` (a plugin)."""
    return name.split(".")[0] in {"lightformer", module.name.split(".")[0]}


def dotted(node: ast.expr) -> str:
    """Returns `a.b.c` for a name or attribute, and an empty string for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def lineage(module: Module, node: ast.ClassDef) -> list[tuple[Module, ast.ClassDef]]:
    """Returns a class and those of its bases that can be read, nearest first."""
    found, left = [], [(module, node)]
    while left:
        here, cls = left.pop(0)
        if (here, cls) in found:
            continue
        found.append((here, cls))
        for base in cls.bases:
            bare = base.value if isinstance(base, ast.Subscript) else base
            target = resolve(here, bare)
            if target is not None and isinstance(target[1], ast.ClassDef):
                left.append((target[0], target[1]))
    return found


def constants(node: ast.ClassDef) -> dict[str, Any]:
    """Returns the literal values that stand in the body of a class."""
    found = {}
    for item in node.body:
        if not isinstance(item, (ast.Assign, ast.AnnAssign)) or item.value is None:
            continue
        target = item.target if isinstance(item, ast.AnnAssign) else item.targets[0]
        if isinstance(target, ast.Name):
            with suppress(ValueError):
                found[target.id] = ast.literal_eval(item.value)
    return found


def is_dataclass(node: ast.ClassDef) -> bool:
    """Whether a class is decorated with `dataclass`."""
    names = (dotted(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list)
    return any(name in ("dataclass", "dataclasses.dataclass") for name in names)


def text(node: ast.expr) -> str:
    """Returns an expression as it is written."""
    return ast.unparse(node)
