"""What steps do to a loss, and to the size of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightformer.optimizer import NamedParameters
from lightformer.testing.optimizer.trial import OptimizerTrial, Tensors, same_bits
from lightformer.testing.promise import (
    DoesNotApply,
    Figure,
    difference,
    promise,
    truth,
    worst,
)

FACTORS = (1.0, 10.0, 100.0, 1e3, 1e4, 0.1, 0.01)
"""Multiples of its own learning rate at which a loss is to fall, at one of them."""


@promise("optimizer", needs=("moves",))
def zero_rate(trial: OptimizerTrial) -> Figure:
    """With lr=0 nothing moves, and nothing decays.

    Breach: decay is not multiplied by the rate, or 0 is taken for no rate at all (`lr or 1e-3`).
    """
    if not trial.has("lr"):
        raise DoesNotApply("it has no option lr")
    run = trial.begin(lr=0.0, **trial.decays(0.1))
    before = run.values()
    run.step(*trial.gradients(3))
    return same_bits(run.values(), before)


@promise("optimizer", needs=("steady", "zero rate"))
def schedule(trial: OptimizerTrial) -> Figure:
    """A schedule scales the step at once, and each group's alone.

    Breach: the rate is read when the optimizer is made, or from the first group for all; read group["lr"] of each group
    in each step. Or the momentum holds steps, and with them the rates of the past: let it hold gradients, and multiply
    by the rate last. Or the decay is not multiplied by the rate.
    """
    *before, last = trial.gradients(4)
    figures, (plain, _) = {}, _step_after(trial, before, last, 1.0)
    for factors in ((0.0,), (0.5,), (2.0,), (0.5, 2.0)):
        found, by = _step_after(trial, before, last, *factors)
        gaps = {n: (found[n] - by[n] * plain[n]) / plain[n].abs().max() for n in plain}
        figures[f"by {' and '.join(f'{factor:g}' for factor in factors)}"] = worst(
            {n: difference(gap, torch.zeros_like(gap), 1e-6) for n, gap in gaps.items()}
        )
    return worst(figures)


def _step_after(
    trial: OptimizerTrial,
    before: list[Tensors],
    last: Tensors,
    *factors: float,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """How far each parameter goes in a step whose rates are scaled, and by what they are."""
    run = trial.begin(**trial.decays(0.1))
    run.step(*before)
    start, by = run.values(), run.scale(*factors)
    run.step(last)
    return {n: value - start[n] for n, value in run.values().items()}, by


@promise("optimizer", needs=("steady", "finite"))
def decay(trial: OptimizerTrial) -> Figure:
    """Weight decay shrinks a matrix as a whole; vectors keep all.

    Breach: biases and norms decay (decay_groups tells them apart), or the option does nothing. Or decay goes through
    the adaptive step, where it takes the same from small weights as from large ones, which is no mistake if it is
    meant (leave this promise out with --skip decay).
    """
    if not trial.has("weight_decay"):
        raise DoesNotApply("it has no option weight_decay")
    lost = dict[str, float]()
    for rate in (0.0, 0.1, 0.2):
        run = trial.begin(weight_decay=rate)
        before = run.values()
        run.step({n: torch.zeros_like(value) for n, value in before.items()})
        after = run.values()
        decays = {n for n, value in before.items() if value.ndim >= 2 and rate}
        kept = same_bits(after, {n: v for n, v in before.items() if n not in decays})
        if not kept.held:
            return Figure(math.inf, f"{kept.text} at weight_decay={rate}", kept.where)
        for name in sorted(decays):
            share, is_whole = _share(before[name], after[name])
            if not lost.get(name, 0.0) < share < 1.0:
                half = f", {lost[name]:.1e} at half of it" if name in lost else ""
                return Figure(math.inf, f"loses {share:.1e} at weight_decay={rate}{half}", name)
            if not is_whole:
                return Figure(math.inf, "not all of its weights lose the same share", name)
            lost[name] = share
    return truth(True, f"{len(lost)} matrices")


def _share(before: Tensor, after: Tensor) -> tuple[float, bool]:
    """The share of a matrix that is lost, and whether it is lost of each number alike."""
    share = 1.0 - ((before * after).sum() / before.square().sum()).item()
    rest = after - (1.0 - share) * before
    return share, bool(rest.norm() <= 1e-3 * (after - before).norm())


@promise("optimizer", needs=("steady",))
def downhill(trial: OptimizerTrial) -> Figure:
    """The first step of each parameter goes down its gradient.

    Breach: the sign is wrong; or a matrix that was turned or flattened on the way comes back otherwise.
    """
    least, gradients = 0.1, trial.gradients(1)[0]
    run = trial.begin(**trial.decays(0.0))
    before = run.values()
    run.step(gradients)
    figures = {}
    for name, value in run.values().items():
        cosine = nn.functional.cosine_similarity(
            (before[name] - value).flatten(), gradients[name].flatten(), dim=0, eps=0.0
        ).item()
        used = least / cosine if cosine > 0 else math.inf
        figures[name] = Figure(used, f"cosine {cosine:.2f} (at least {least})")
    return worst(figures)


@promise("optimizer", needs=("downhill", "finite"))
def convex(trial: OptimizerTrial) -> Figure:
    """A convex loss falls to a hundredth, at one of its rates.

    Breach: momentum never fades, or steps grow or shrink with time, so that the minimum is passed or never reached.
    """
    return _lowest(lambda factor: _quadratic(trial, factor), 0.01)


def _quadratic(trial: OptimizerTrial, factor: float, steps: int = 400) -> float:
    """What is left of a quadratic loss of matrices and vectors after steps that grow smaller."""
    shapes = {"embedding": (5, 11), "blocks.0.weight": (7, 5), "blocks.0.bias": (7,), "norm": (11,)}
    torch.manual_seed(1)
    parameters: NamedParameters = [
        (f"{name}.weight", nn.Parameter(torch.randn(shape).double()))
        for name, shape in shapes.items()
    ]
    goals = [torch.randn_like(p.detach()) for _, p in parameters]
    curvatures = [0.5 + 1.5 * torch.rand_like(p.detach()) for _, p in parameters]
    problem = [(p, goal, c) for (_, p), goal, c in zip(parameters, goals, curvatures, strict=True)]

    def loss() -> float:
        return sum((c * (p.detach() - goal).square()).sum().item() for p, goal, c in problem)

    spec = trial.spec.replace(**trial.decays(0.0))
    optimizer, first = spec(parameters), loss()
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor * (1 - step / steps)
        for p, goal, curvature in problem:
            p.grad = curvature * (p.detach() - goal)
        optimizer.step()
    return loss() / first


@promise("optimizer", needs=("convex",))
def transformer(trial: OptimizerTrial) -> Figure:
    """The loss of a small transformer falls to a half.

    Breach: the step takes the loss to be convex, as where it is divided by a curvature that may be negative.
    """
    return _lowest(lambda factor: _small_transformer(trial, factor), 0.5)


def _small_transformer(trial: OptimizerTrial, factor: float, steps: int = 30) -> float:
    """What is left of the loss of a transformer that is to say a random vector at each token."""
    torch.manual_seed(1)
    run, ids = trial.begin(**trial.decays(0.0)), trial.sizes.tokens(2, 7)
    goal = torch.randn(2, 7, trial.sizes.hidden_size, dtype=torch.float64)
    run.scale(factor)
    losses = []
    for _ in range(steps):
        run.optimizer.zero_grad()
        loss = (run.module(ids) - goal).square().mean()
        torch.autograd.backward(loss)
        run.optimizer.step()
        losses.append(loss.item())
    return losses[-1] / losses[0]


def _lowest(left: Callable[[float], float], bound: float) -> Figure:
    """How low a loss comes at the first rate that is good enough, or else at the best one."""
    found: dict[float, float] = {}
    for factor in FACTORS:
        share = left(factor)
        found[factor] = share if share >= 0 else math.inf
        if share <= bound:
            break
    best = min(found, key=lambda factor: found[factor])
    low = f"to {found[best]:.1%}" if found[best] < 1 else "never falls"
    text = f"{low} (at most {bound:.0%})"
    where = f"at {best:g} times its own rate, the best of {len(found)}"
    return Figure(found[best] / bound, text, where)
