"""What there is to choose from, read from source without running it.

The catalogue lists each part that a `@register("kind", "name")` names, each task and each data
module, of the package itself and of every plugin, with its options and docs. From it the command
line gives help and finds mistakes in a config before anything heavy is imported.
This module imports the standard library alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightformer.catalogue import source as src
from lightformer.catalogue.signatures import Option, docstring, options
from lightformer.catalogue.source import Module
from lightformer.errors import ConfigError, did_you_mean
from lightformer.plugins import Source, find_module, find_sources
from lightformer.registry import KINDS

BASES = {"model": ("lightformer.tasks", "Task"), "data": ("lightformer.data", "DataModule")}
"""What a config chooses by the name of its class: key -> package and name of the base class."""

BUILT_IN = "built-in"


@dataclass(frozen=True)
class Entry:
    """Something that a config can name."""

    kind: str
    name: str
    path: str
    """Dotted path of the class or function."""
    doc: str
    options: tuple[Option, ...]
    file: Path
    line: int
    source: str
    """`built-in`, or the label of the plugin."""
    data_defaults: dict[str, Any] = field(default_factory=dict)
    """Of a task or data module: which data options it has, where the user does not say."""

    @property
    def summary(self) -> str:
        return self.doc.split("\n\n")[0].replace("\n", " ").strip()

    @property
    def paper(self) -> str:
        """The paper's line of the docs, or an empty string."""
        paragraphs = (" ".join(text.split()) for text in self.doc.split("\n\n"))
        return next(
            (text.removeprefix("Paper: ") for text in paragraphs if text.startswith("Paper:")), ""
        )


@dataclass
class Catalogue:
    """Everything that was read.

    Args:
        entries: kind (or `model`, `data`) -> name -> entry
        dynamic: labels of the plugins that register in a way that only running them would tell
        modules: first names of the modules that plugins come from
    """

    entries: dict[str, dict[str, Entry]] = field(default_factory=dict)
    dynamic: list[str] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)

    def names(self, kind: str) -> list[str]:
        return sorted(self.entries.get(kind, {}))

    def get(self, kind: str, name: str) -> Entry | None:
        """Returns an entry by its name, or by its dotted path."""
        known = self.entries.get(kind, {})
        bare = name.removeprefix(f"lightformer.{kind}.")
        return (
            known.get(bare)
            or next((e for e in known.values() if e.path == name), None)
            or (
                known.get(name.rpartition(".")[2])
                if name.startswith(BASES.get(kind, (" ",))[0] + ".")
                else None
            )
        )

    def find(self, kind: str, name: str) -> Entry:
        """Returns an entry by its name.

        Raises:
            ConfigError: the kind or the name is unknown.
        """
        if kind not in (*KINDS, *BASES):
            raise ConfigError(
                f"There is no kind {kind!r}.{did_you_mean(kind, [*KINDS, *BASES], 'Kinds')}"
            )
        entry = self.get(kind, name)
        if entry is None:
            raise ConfigError(unknown(kind, name, self.names(kind)))
        return entry

    def add(self, entry: Entry) -> None:
        self.entries.setdefault(entry.kind, {}).setdefault(entry.name, entry)


def unknown(kind: str, name: str, known: list[str]) -> str:
    """The sentence about a name that nothing has."""
    return f"There is no {kind} {name!r}.{did_you_mean(name, known)}"


def read_catalogue(given: Iterable[str] = (), folder: Path | str | None = "plugins") -> Catalogue:
    """Reads the package and all plugins; see `plugins.find_sources` for the arguments."""
    catalogue = Catalogue()
    for package in ("lightformer.parts", "lightformer.tasks", "lightformer.data"):
        root = find_module(package)
        for path in sorted((root if root.is_dir() else root.parent).rglob("*.py")) if root else ():
            _read(catalogue, src.read_file(path, _dotted_name(package, root, path)), BUILT_IN)
    for source in find_sources(given, folder):
        _read_plugin(catalogue, source)
    return catalogue


def _dotted_name(package: str, root: Path | None, path: Path) -> str:
    base = root if root is None or root.is_dir() else root.parent
    parts = path.relative_to(base or path.parent).with_suffix("").parts
    return ".".join([package, *(part for part in parts if part != "__init__")])


def _read_plugin(catalogue: Catalogue, source: Source) -> None:
    if source.is_file:
        path = Path(source.target)
        first: Module | None = src.read_file(path, f"lightformer_plugins.{path.stem}")
    else:
        first = src.read(source.target)
    if first is None:  # no Python source: a compiled module, say
        catalogue.dynamic.append(source.label)
        return
    top = first.name.split(".")[0]
    catalogue.modules.add(top)
    seen, left = set(), [first]
    while left:  # a package registers by importing its own modules
        module = left.pop()
        if module.name in seen:
            continue
        seen.add(module.name)
        _read(catalogue, module, source.label)
        for origin, name in module.imports.values():
            for candidate in (f"{origin}.{name}", origin):
                if (
                    not source.is_file
                    and candidate.split(".")[0] == top
                    and (found := src.read(candidate))
                ):
                    left.append(found)


def _read(catalogue: Catalogue, module: Module, label: str) -> None:
    """Adds what one module defines."""
    understood = set()
    for node in module.definitions.values():
        for decorator in node.decorator_list:
            named = _registration(decorator)
            if named is not None:
                understood.add(decorator)
                catalogue.add(_entry(*named, module, node, label))
        if isinstance(node, ast.ClassDef) and (key := _chosen_by_class(module, node)):
            catalogue.add(_entry(key, node.name, module, node, label))
    for named, call, target in _registered_elsewhere(module):
        understood.add(call)
        catalogue.add(_entry(*named, *target, label))
    if label != BUILT_IN and label not in catalogue.dynamic:
        calls = (
            n for n in ast.walk(module.tree) if isinstance(n, ast.Call) and n not in understood
        )
        if any(src.dotted(call.func).split(".")[-1] == "register" for call in calls):
            catalogue.dynamic.append(label)


def _registered_elsewhere(
    module: Module,
) -> Iterator[tuple[tuple[str, str], ast.expr, tuple[Module, src.Definition]]]:
    """What `register("kind", "name")(Thing)` names, for a thing that is defined in another module."""
    for node in module.tree.body:
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            continue
        named = _registration(node.value.func)
        target = src.resolve(module, node.value.args[0]) if len(node.value.args) == 1 else None
        if named is not None and target is not None and isinstance(target[1], src.Definition):
            yield named, node.value.func, (target[0], target[1])


def _registration(node: ast.expr) -> tuple[str, str] | None:
    """Kind and name of a `@register("kind", "name")`, whatever its forms."""
    if not isinstance(node, ast.Call) or src.dotted(node.func).split(".")[-1] != "register":
        return None
    given = [*node.args, *(word.value for word in node.keywords if word.arg in ("kind", "name"))]
    values = [arg.value for arg in given if isinstance(arg, ast.Constant)]
    if len(values) != 2 or len(given) != 2:
        return None
    kind, name = values
    return (kind, name) if isinstance(kind, str) and isinstance(name, str) else None


def _chosen_by_class(module: Module, node: ast.ClassDef) -> str:
    """`model` or `data` for a class that a config can choose, else an empty string."""
    bases = [src.dotted(base).split(".")[-1] for base in node.bases]
    if not bases or "ABC" in bases or node.name.startswith("_") or _has_abstract_method(node):
        return ""
    for here, cls in src.lineage(module, node)[1:]:
        for key, (package, name) in BASES.items():
            if cls.name == name and here.name.startswith(package):
                return key
    return ""


def _has_abstract_method(node: ast.ClassDef) -> bool:
    methods = (item for item in node.body if isinstance(item, src.Function))
    return any(src.dotted(d).endswith("abstractmethod") for m in methods for d in m.decorator_list)


def _entry(kind: str, name: str, module: Module, node: src.Definition, label: str) -> Entry:
    found = options(module, node, keyword_only=kind in KINDS)
    return Entry(
        kind=kind,
        name=name,
        path=f"lightformer.{kind}.{name}" if kind in KINDS else f"{module.name}.{node.name}",
        doc=docstring(node),
        options=tuple(option for option in found if "Vocabulary" not in option.type),
        file=module.path,
        line=node.lineno,
        source=label,
        data_defaults=_data_defaults(module, node),
    )


def _data_defaults(module: Module, node: src.Definition) -> dict[str, Any]:
    """A task's `data_defaults`, or a data module's `default_OPTION`s; the nearest class counts."""
    found: dict[str, Any] = {}
    for _, cls in reversed(src.lineage(module, node) if isinstance(node, ast.ClassDef) else []):
        for name, value in src.constants(cls).items():
            if name == "data_defaults" and isinstance(value, dict):
                found = value
            elif name.startswith("default_"):
                found[name.removeprefix("default_")] = value
    return found


def trainer_options() -> tuple[Option, ...]:
    """Returns the options of Lightning's Trainer, with their docs."""
    module = src.read("lightning.pytorch.trainer.trainer")
    trainer = module.definitions.get("Trainer") if module else None
    if module is None or not isinstance(trainer, ast.ClassDef):
        return ()
    return options(module, trainer, keyword_only=False)
