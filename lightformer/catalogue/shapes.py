"""What may stand under a key of a config, as far as the type in the source tells.

This module imports the standard library alone.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from lightformer.catalogue import source as src
from lightformer.catalogue.signatures import Option, options
from lightformer.catalogue.source import Module


@dataclass(frozen=True)
class Shape:
    """What may stand under a key of a config, as far as its source tells.

    Args:
        kind: a part of this kind
        fields: the fields of a dataclass
        item: the shape of each element of a list or mapping
        choices: the texts of a Literal
        name: what to call it in messages
    """

    kind: str = ""
    fields: tuple[Option, ...] | None = None
    item: Shape | None = None
    choices: tuple[str, ...] = ()
    name: str = ""


ANYTHING = Shape()


def shape_of(option: Option) -> Shape:
    """Returns what may stand under an option, from its annotation."""
    return _shape(option.module, option.annotation) if option.annotation is not None else ANYTHING


def scalar_types(option: Option) -> frozenset[str]:
    """Returns the types of an option where all are plain: `int` and `None` for `int | None`."""
    names = set(re.findall(r"[\w.]+", option.type.replace("Optional[", "None, Union["))) - {"Union"}
    return frozenset(names) if names and names <= {"int", "float", "bool", "None"} else frozenset()


def default_name(option: Option) -> str:
    """Returns the name of an option's default part: `mha` for `attention.mha(dropout=0.1)`."""
    value = option.value.func if isinstance(option.value, ast.Call) else option.value
    return src.dotted(value).split(".")[-1] if value is not None else ""


def _shape(module: Module, node: ast.expr) -> Shape:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _shape(module, ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.BinOp):
        return _first(module, [node.left, node.right])
    if isinstance(node, ast.Subscript):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        outer = src.dotted(node.value).split(".")[-1]
        if outer == "Literal":
            return Shape(choices=tuple(str(i.value) for i in inner if isinstance(i, ast.Constant)))
        if outer in ("Optional", "Union"):
            return _first(module, inner)
        item = _first(module, inner)
        known = outer in ("list", "List", "tuple", "Tuple", "Sequence", "dict", "Dict", "Mapping")
        return Shape(item=item) if known and item != ANYTHING else ANYTHING
    target = src.resolve(module, node)
    if target is None:
        return ANYTHING
    here, found = target
    if isinstance(found, ast.ClassDef):
        return _shape_of_class(here, found)
    return _shape(here, found) if isinstance(found, ast.expr) else ANYTHING


def _first(module: Module, nodes: list[ast.expr]) -> Shape:
    if any(src.dotted(node) == "str" for node in nodes):
        return ANYTHING
    return next((s for s in (_shape(module, node) for node in nodes) if s != ANYTHING), ANYTHING)


def _shape_of_class(module: Module, node: ast.ClassDef) -> Shape:
    for keyword in node.keywords:  # class AttentionSpec(Spec, kind="attention", builds=Attention)
        if keyword.arg == "kind" and isinstance(keyword.value, ast.Constant):
            return Shape(kind=str(keyword.value.value), name=str(keyword.value.value))
    if src.is_dataclass(node):
        return Shape(fields=options(module, node, keyword_only=False), name=node.name)
    return ANYTHING
