"""Which part of a model could not be written as a graph, and why."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.fx import Node

from lightformer.registry import KINDS, find, names
from lightformer.tasks import Task

Place = tuple[str, int]
"""A file, and a line in it."""

_PLACE = re.compile(r'File "([^"]+)", line (\d+)')
_OPERATOR = re.compile(r"No ONNX function found for.*?'(?:\w+::)?([\w.:]+)'")


def blame(error: BaseException, task: Task) -> str:
    """Returns a sentence: the part in whose code torch's exporter stopped, its file and line, and the reason.

    Args:
        error: of the exporter
        task: what was exported
    """
    errors = list(_chain(error))
    places = [place for cause in errors for place in _places(cause)]
    text = "\n".join(str(cause) for cause in errors)
    operator = _OPERATOR.search(text)
    if operator is not None:
        reason = f"uses {operator[1]}, which ONNX does not have"
    elif "Constraints violated" in text:
        reason = "works for one batch size or length alone, as it makes a Python number of it"
    else:
        reason = "decides in Python by numbers or lengths that are known only when it runs"
    parts = _parts(task)
    for file, line in reversed(places):
        for name, files in parts.items():
            if file in files:
                return f"{name} {reason} ({file}, line {line}); write that with tensors, or choose another part."
    every = ", ".join(name for name in parts if name.split()[0] in ("attention", "position"))
    return f"one of its parts ({every}) {reason}; choose another."


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those from which it came."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _places(error: BaseException) -> list[Place]:
    """Where an error arose, the innermost last; for an operator, where the model's code calls it."""
    found = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        node = frame.f_locals.get("node")
        said = node.meta.get("stack_trace") if isinstance(node, Node) else None
        found += [(file, int(at)) for file, at in _PLACE.findall(said or "")]
        found.append((frame.f_code.co_filename, line))
    return found


def _parts(task: Task) -> dict[str, set[str]]:
    """The registered parts in a model, such as `attention gqa`, and the files of their classes."""
    classes: dict[Any, str] = {
        find(kind, name).part: f"{kind} {name}" for kind in KINDS for name in names(kind)
    }
    return {
        classes[type(module)]: {
            inspect.getfile(cls)
            for cls in type(module).__mro__
            if issubclass(cls, nn.Module) and cls is not nn.Module
        }
        for module in task.modules()
        if type(module) in classes and module is not task.backbone._cross_position
    }
