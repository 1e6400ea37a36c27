"""Whether each option of a part does something."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Any, Literal, TypeVar, Union

import torch
from torch import Tensor, nn

from lightformer.registry import Spec
from lightformer.testing.promise import DoesNotApply, Figure, truth
from lightformer.testing.sizes import stir

S = TypeVar("S", bound=Spec)


def all_act(spec: S, make: Callable[[S], nn.Module], run: Callable[[nn.Module], Tensor]) -> Figure:
    """Whether some other value of each option changes a bit, of the parameters or of what comes out.

    Only options that are numbers, words or true and false are tried, each alone.

    Args:
        spec: of the part
        make: builds a part, in which all is random that may be
        run: gives a part the same input each time

    Raises:
        DoesNotApply: it has no such option.
    """

    def shown(spec: S) -> list[Tensor]:
        torch.manual_seed(1)
        module = stir(make(spec).double())
        return [*module.state_dict().values(), run(module.train()), run(module.eval())]

    plain, tried, idle = shown(spec), 0, []
    for field in dataclasses.fields(spec):
        found = []
        for value in _others(field.type, getattr(spec, field.name)):
            try:
                found.append(shown(spec.replace(**{field.name: value})))
            except Exception:  # a value that the part cannot take tells nothing
                continue
        tried += bool(found)
        if found and all(_equal(other, plain) for other in found):
            idle.append(field.name)
    if not tried:
        raise DoesNotApply("it has no option that could be changed")
    return truth(not idle, f"without effect: {', '.join(idle)}" if idle else f"options: {tried}")


def _others(hint: Any, value: Any) -> Iterator[Any]:
    """Other values of an option than the one that it has."""
    if typing.get_origin(hint) in (Union, UnionType):
        for kind in typing.get_args(hint):
            yield from _others(kind, value)
        return
    size = value if isinstance(value, (int, float)) else 0
    values: dict[Any, tuple[Any, ...]] = {
        bool: (True, False),
        int: (1, 2, 3, *(int(size) >> n for n in range(1, 5)), int(size) + 1),
        float: (0.1, 0.5, 1.0, 2.0 * size),
    }
    words = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
    yield from (other for other in values.get(hint, words) if other != value)


def _equal(one: list[Tensor], two: list[Tensor]) -> bool:
    return len(one) == len(two) and all(map(torch.equal, one, two))
