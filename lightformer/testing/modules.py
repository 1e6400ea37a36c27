"""What is measured alike of parts of several kinds: whatever turns vectors into vectors of the same width."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lightformer.checks import check_dropout
from lightformer.registry import Spec
from lightformer.testing.devices import ELSEWHERE, follows
from lightformer.testing.promise import DoesNotApply, Figure, change, difference, truth, worst

STEP = 1e-6
NEARLY_NONE = 1e-12
"""A dropout that drops nothing in as few numbers as these."""
S = TypeVar("S", bound=Spec)
Run = Callable[[nn.Module], Tensor]
"""Gives a module the same input each time, and returns what comes out."""


def without_dropout(spec: S) -> S:
    """Returns the spec with its option `dropout` at 0: chance would hide what is compared.

    Raises:
        ConfigError: it is no probability.
    """
    if dropout := spec.options().get("dropout"):
        check_dropout(dropout)
        return spec.replace(dropout=0.0)
    return spec


def steady(module: nn.Module, run: Run, between: Run) -> Figure:
    """The same input twice, with another one between, then in train(), and after others in train()."""
    first = run(module.eval())
    between(module)
    figures = {
        "again": difference(run(module), first),
        "train()": difference(run(module.train()), first),
    }
    for _ in range(2):  # what is remembered may act only on what comes next
        between(module)
    return worst({**figures, "after train()": difference(run(module.eval()), first)})


def layout(part: nn.Module, states: Tensor) -> Figure:
    """The same input, as it was laid out in memory and as it was not."""
    turned = states.transpose(0, 1).contiguous().transpose(0, 1)
    return difference(part(turned), part(states))


@torch.no_grad()
def intact(run: Callable[[Tensor], Any], states: Tensor) -> Figure:
    """Whether what it was given is afterwards as it was before."""
    before = states.clone()
    run(states)
    return difference(states, before, 1e-12)


def learns(module: nn.Module, out: Tensor) -> Figure:
    """Whether every parameter has a gradient of what comes out."""
    parameters = dict(module.named_parameters())
    if not parameters:
        raise DoesNotApply("it has no parameters")
    torch.autograd.backward((out * torch.randn_like(out)).sum())
    lacking = [n for n, p in parameters.items() if p.grad is None or not p.grad.any()]
    text = f"without one: {', '.join(lacking)}" if lacking else f"parameters: {len(parameters)}"
    return truth(not lacking, text)


def gradients(module: nn.Module, states: Tensor, *more: Any) -> Figure:
    """Whether the gradients of input and parameters agree with what a small step in some direction does."""
    given = {"the input": states.requires_grad_(), **dict(module.named_parameters())}
    pull = torch.randn_like(module(states, *more))

    def value(changed: Mapping[str, Tensor]) -> Tensor:
        values = {**given, **changed}
        states = values.pop("the input")
        return (functional_call(module, values, (states, *more)) * pull).sum()

    slopes = torch.autograd.grad(value({}), list(given.values()), materialize_grads=True)
    figures = {}
    with torch.no_grad():
        for (name, tensor), slope in zip(given.items(), slopes, strict=True):
            way = torch.randn_like(tensor)
            step = way * STEP
            rise = value({name: tensor + step}) - value({name: tensor - step})
            figures[name] = difference(rise / (2.0 * STEP), (slope * way).sum(), 1e-5)
    return worst(figures)


def finite(make: Callable[[], nn.Module], cases: Mapping[str, Tensor]) -> Figure:
    """Whether what comes out, and all gradients, are finite for each of several inputs."""
    for name, states in cases.items():
        for kind in (torch.float32, torch.bfloat16):
            module, given = make().to(kind), states.detach().to(kind, copy=True).requires_grad_()
            out = module(given)
            torch.autograd.backward((out * torch.randn_like(out)).sum())
            found = {"what comes out": out, "the gradient of the input": given.grad}
            found |= {f"the gradient of {n}": p.grad for n, p in module.named_parameters()}
            wrong = [n for n, t in found.items() if t is not None and not t.isfinite().all()]
            if wrong:
                where = f"{name}, in {str(kind).removeprefix('torch.')}"
                return dataclasses.replace(truth(False, f"not finite: {wrong[0]}"), where=where)
    return truth(True, f"{len(cases)} inputs, 2 dtypes")


def dtype(module: nn.Module, run: Callable[[nn.Module, torch.dtype], Tensor]) -> Figure:
    """Whether what comes out has the dtype of what went in, and autocast does no harm."""
    for kind in (torch.bfloat16, torch.float32, torch.float64):
        found = run(module.to(kind), kind).dtype
        if found != kind:
            return truth(False, f"{found} from {kind}")
    with warnings.catch_warnings(), torch.autocast("cpu", dtype=torch.bfloat16):
        warnings.simplefilter("ignore")  # torch says that a mixture of dtypes is slow
        for kind in (torch.float32, torch.bfloat16):
            if not run(module.float(), kind).isfinite().all():
                return truth(False, f"not finite under autocast, from {kind}")
    return truth(True, "3 dtypes, and autocast")


def state(one: nn.Module, other: nn.Module, run: Run) -> Figure:
    """Whether a part that takes over the state of another does as that one."""
    other.load_state_dict(one.state_dict())
    return difference(run(other), run(one), 1e-12)


def dropout(module: nn.Module, run: Run, plain: Tensor, *, nearly_none: nn.Module) -> Figure:
    """Whether dropout acts in train() alone, and by its option's value.

    Args:
        module: with much dropout
        run: gives it its input
        plain: what comes out without dropout
        nearly_none: the same part, with a dropout of NEARLY_NONE
    """
    return worst(
        {
            "eval()": difference(run(module.eval()), plain),
            "train()": change(run(module.train()), plain),
            f"train() with dropout {NEARLY_NONE}": difference(run(nearly_none.train()), plain),
        }
    )


def compiles(module: nn.Module, run: Run) -> Figure:
    """Whether torch.compile takes a module without a graph break, and the result is the same."""
    torch.compiler.reset()
    compiled: Any = torch.compile(module, backend="eager", fullgraph=True)
    return difference(run(compiled), run(module))


def device(module: nn.Module, run: Run) -> Figure:
    """Whether a module that is moved to another device makes its tensors there; `run` gives it input that is there."""
    module = module.to(ELSEWHERE)
    return follows(lambda: {"what comes out": run(module)})
