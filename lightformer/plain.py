"""Specs and dataclasses as plain data, and back.

Plain data is what YAML and a checkpoint hold: numbers, strings, booleans, None, lists and dicts. A spec
without options of its own is a dict with a name, and so is one with options:

    attention.gqa(num_kv_heads=2)  <->  {"name": "gqa", "num_kv_heads": 2, "dropout": 0.0}
"""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Mapping
from typing import Any

from lightformer.errors import ConfigError, did_you_mean
from lightformer.registry import Spec, find

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
"""What a value of a plain type is called."""


def to_plain(value: Any) -> Any:
    """Returns `value` as plain data.

    Raises:
        ConfigError: a value has no plain form, so that a checkpoint with it could not be loaded again.
    """
    if isinstance(value, Spec):
        return {"name": value.name, **{k: to_plain(v) for k, v in value.options().items()}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise ConfigError(
        f"An option must be a number, text, true or false, a list or a mapping, but {value!r} is of type "
        f"{type(value).__name__}: a checkpoint with it could not be loaded again."
    )


def from_plain(annotation: Any, value: Any, where: str = "") -> Any:
    """Returns the value of type `annotation` that plain data stands for.

    Args:
        annotation: a spec's abstract class, a dataclass, a number, text, some choices, a container of these,
            or anything else, for which `value` is returned as it is
        value: plain data, or what is already of the type; a path is text
        where: the dotted name of the value, for messages

    Raises:
        ConfigError: a name, a field or an option is unknown, or a value is of another type.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        chosen = [a for a in arguments if a is not type(None)]
        return value if value is None or len(chosen) > 1 else from_plain(chosen[0], value, where)
    if origin in (list, tuple):
        return origin(_items(annotation, value, where))
    if origin is typing.Literal:
        return _choice(arguments, value, where)
    if not isinstance(annotation, type):
        return value
    if annotation in WORDS:
        return _scalar(annotation, value, where)
    if issubclass(annotation, Spec):
        return _spec(annotation, value, where)
    if dataclasses.is_dataclass(annotation):
        return _dataclass(annotation, value, where)
    return value


def _scalar(kind: type, value: Any, where: str) -> Any:
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    fitting = (int, float) if kind is float else kind
    if not isinstance(value, fitting) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where} must be {WORDS[kind]}, but is {value!r}.")
    return value


def _choice(known: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in known:
        hint = did_you_mean(str(value), map(str, known))
        raise ConfigError(f"{where} cannot be {value!r}.{hint}")
    return value


def _items(annotation: Any, value: Any, where: str) -> list[Any]:
    kinds = typing.get_args(annotation)
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where} must be a list, but is {value!r}.")
    if typing.get_origin(annotation) is list or kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise ConfigError(f"{where} must have {len(kinds)} values, but is {value!r}.")
    pairs = zip(kinds, value, strict=True)
    return [from_plain(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(pairs)]


def _spec(base: type[Spec], value: Any, where: str) -> Spec:
    if isinstance(value, base):
        return type(value)(**_fields(type(value), value.options(), where))
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or "name" not in value:
        raise ConfigError(
            f"{where or base.kind} must be a name or a mapping with a name, not {value!r}."
        )
    cls = find(base.kind, value["name"])
    return cls(**_fields(cls, {k: v for k, v in value.items() if k != "name"}, where))


def _dataclass(cls: Any, value: Any, where: str) -> Any:
    if isinstance(value, cls):
        cls = type(value)
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(cls)}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where or cls.__name__} must be a mapping, but is {value!r}.")
    return cls(**_fields(cls, value, where))


def _fields(cls: type, value: Mapping[str, Any], where: str) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls)]
    for name in value:
        if name not in known:
            raise ConfigError(
                f"{where or cls.__name__} has no {name!r}.{did_you_mean(name, known)}"
            )
    prefix = f"{where}." if where else ""
    return {k: from_plain(hints[k], v, prefix + k) for k, v in value.items()}
