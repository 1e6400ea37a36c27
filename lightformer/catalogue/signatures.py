"""What a class or function takes, and what its docs say of it, read from its source.

This module imports the standard library alone.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lightformer.catalogue.source import Definition, Function, Module, dotted, is_dataclass, lineage


@dataclass(frozen=True)
class Option:
    """One option of a part, task, data module or dataclass, as its source spells it."""

    name: str
    type: str
    default: str | None
    """Source text; None where there is no default."""
    doc: str
    annotation: ast.expr | None = field(compare=False, repr=False)
    value: ast.expr | None = field(compare=False, repr=False)
    module: Module = field(compare=False, repr=False)

    @property
    def required(self) -> bool:
        return self.default is None


def options(module: Module, node: Definition, *, keyword_only: bool) -> tuple[Option, ...]:
    """Returns the options of a definition, with what it hands on to its bases by `**kwargs`.

    Args:
        module: where it is defined
        node: class, dataclass or function
        keyword_only: a part's options are its keyword-only parameters; others' are all parameters
    """
    found: dict[str, Option] = {}
    if not isinstance(node, ast.ClassDef):
        return tuple(_parameters(module, node, docstring(node), keyword_only))
    family = lineage(module, node)
    docs = "\n\n".join(docstring(cls) for _, cls in family)
    if is_dataclass(node):
        for here, cls in reversed(family):
            found.update((option.name, option) for option in _fields(here, cls, docs))
        return tuple(found.values())
    for here, cls in family:
        init = constructor(cls)
        if init is not None:
            for option in _parameters(here, init, docs, keyword_only):
                found.setdefault(option.name, option)
            if init.args.kwarg is None:
                break
    return tuple(found.values())


def _parameters(module: Module, node: Function, docs: str, keyword_only: bool) -> Iterator[Option]:
    described, arguments = argument_docs(docs), node.args
    plain = arguments.args
    defaults = [None] * (len(arguments.posonlyargs) + len(plain) - len(arguments.defaults))
    pairs = list(
        zip(plain, [*defaults, *arguments.defaults][len(arguments.posonlyargs) :], strict=True)
    )
    if keyword_only:
        pairs = []
    for argument, default in [
        *pairs,
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]:
        if argument.arg not in ("self", "cls"):
            yield _option(module, argument.arg, argument.annotation, default, described)


def _fields(module: Module, node: ast.ClassDef, docs: str) -> Iterator[Option]:
    described = argument_docs(docs)
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        if "ClassVar" not in ast.unparse(item.annotation):
            default = _field_default(item.value) if item.value is not None else None
            yield _option(module, item.target.id, item.annotation, default, described)


def _field_default(value: ast.expr) -> ast.expr | None:
    if not isinstance(value, ast.Call) or dotted(value.func).split(".")[-1] != "field":
        return value
    for keyword in value.keywords:
        if keyword.arg == "default":
            return keyword.value
        if keyword.arg == "default_factory":
            made = keyword.value
            return made.body if isinstance(made, ast.Lambda) else ast.Call(made, [], [])
    return None


def _option(
    module: Module,
    name: str,
    annotation: ast.expr | None,
    default: ast.expr | None,
    described: dict[str, str],
) -> Option:
    return Option(
        name=name,
        type=ast.unparse(annotation) if annotation is not None else "any",
        default=ast.unparse(default) if default is not None else None,
        doc=described.get(name, ""),
        annotation=annotation,
        value=default,
        module=module,
    )


def docstring(node: Definition) -> str:
    """Returns the docs of a class with those of its `__init__`, or of a function."""
    texts = [ast.get_docstring(node)]
    if isinstance(node, ast.ClassDef) and (init := constructor(node)):
        texts.append(ast.get_docstring(init))
    return "\n\n".join(dict.fromkeys(text for text in texts if text))


def constructor(node: ast.ClassDef) -> Function | None:
    """Returns the class's own `__init__`."""
    for item in node.body:
        if isinstance(item, Function) and item.name == "__init__":
            return item
    return None


def argument_docs(text: str) -> dict[str, str]:
    """Returns what the `Args:` sections of a docstring say of each argument."""
    found: dict[str, str] = {}
    for section in re.findall(
        r"^Args:\n((?:[ \t]+.*\n?|\n)*)", inspect.cleandoc(text), re.MULTILINE
    ):
        current = ""
        lines = inspect.cleandoc("\n" + section).splitlines()
        for line in lines:
            start = re.match(r"(\w+)(?: \([^)]*\))?:\s*(.*)", line)
            if start:
                current = start[1]
                if current in found:
                    current = ""
                else:
                    found[current] = start[2].strip()
            elif current:
                found[current] = f"{found[current]} {line.strip()}".strip()
    return found
