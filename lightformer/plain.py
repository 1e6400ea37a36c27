"""Specs and dataclasses as plain data, and back.

Plain data is what YAML and a checkpoint hold: numbers, strings, booleans, None, lists and dicts. A spec
without options of its own is a dict with a name, and so is one with options:

    attention.gqa(num_kv_heads=2)  <->  {"name": "gqa", "num_kv_heads": 2, "dropout": 0.0}
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from lightformer.errors import ConfigError, did_you_mean
from lightformer.registry import Spec, find


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
        annotation: a spec's abstract class, a dataclass, a container of these, or anything else, for
            which `value` is returned as it is
        value: plain data, or what is already of the type
        where: the dotted name of the value, for messages

    Raises:
        ConfigError: a name, a field or an option is unknown.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        chosen = [a for a in arguments if a is not type(None)]
        return from_plain(chosen[0], value, where) if len(chosen) == 1 else value
    if origin is list and isinstance(value, (list, tuple)):
        return [from_plain(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value)]
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(value)
    if not isinstance(annotation, type) or isinstance(value, annotation):
        return value
    if issubclass(annotation, Spec):
        return _spec(annotation, value, where)
    if dataclasses.is_dataclass(annotation) and isinstance(value, Mapping):
        return annotation(**_fields(annotation, value, where))
    return value


def _spec(base: type[Spec], value: Any, where: str) -> Spec:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or "name" not in value:
        raise ConfigError(
            f"{where or base.kind} must be a name or a mapping with a name, not {value!r}."
        )
    cls = find(base.kind, value["name"])
    return cls(**_fields(cls, {k: v for k, v in value.items() if k != "name"}, where))


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
