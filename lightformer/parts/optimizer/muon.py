"""Momentum made orthogonal for the matrices of the blocks, Adam for all else."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim.adamw import adamw

from lightformer.checks import check_dropout, check_not_negative, check_positive
from lightformer.optimizer import GroupOptimizer, NamedParameters, decay_groups, local
from lightformer.registry import register

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial a s + b s^3 + c s^5, which brings singular values near 1: steep at 0, by Jordan's search."""

ADAM_SIZE = 0.2
"""The root mean square of Adam's steps in units of the learning rate, as Liu et al. measured it."""


@register("optimizer", "muon", forms=[{}, {"momentum": 0.0, "ns_steps": 3}])
class Muon(GroupOptimizer):
    """Matrices of the blocks step by their momentum made orthogonal; all else steps as in AdamW.

    An orthogonal step moves a matrix alike in all directions, those that the gradient hardly shows among them.
    A loss is reached in fewer steps, which cost more each; a matrix needs one average where Adam keeps two. The
    momentum is Nesterov's. Steps are scaled to the size of Adam's, so that a learning rate and weight decay that
    suit AdamW are a good start.

    Matrices of the blocks are the parameters with two dimensions that have `blocks` in their dotted name. If no name
    has it, they are all those with two dimensions whose name does not speak of an embedding, head or classifier.
    Where parameters are divided over ranks, each rank gathers such a matrix and steps its own part of it.

    Paper: Liu et al., 2025, arXiv:2502.16982, after Jordan, 2024, https://kellerjordan.github.io/posts/muon/

    Args:
        lr: peak learning rate
        weight_decay: share of each matrix that is lost in a step, times the learning rate; vectors keep all
        momentum: how long the average of the gradient of an orthogonal step lasts
        ns_steps: Newton-Schulz iterations; fewer cost less, and leave small what the gradient hardly shows
        betas: how long the averages of the gradient and of its square last, in the steps of Adam
        eps: added to the divisor, in the steps of Adam
    """

    def __init__(
        self,
        parameters: NamedParameters,
        /,
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        ns_steps: int = 5,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        check_not_negative(lr, "lr")
        check_not_negative(weight_decay, "weight_decay")
        check_dropout(momentum, "momentum")
        check_positive(ns_steps, "ns_steps")
        for beta in betas:
            check_dropout(beta, "each of betas")
        check_not_negative(eps, "eps")
        inner = orthogonal_names(parameters)
        matrices = [(n, p) for n, p in parameters if n in inner]
        others = [(n, p) for n, p in parameters if n not in inner]
        groups = [
            *({**group, "rule": "muon"} for group in decay_groups(matrices, weight_decay)),
            *({**group, "rule": "adamw"} for group in decay_groups(others, weight_decay)),
        ]
        options = {"lr": lr, "momentum": momentum, "ns_steps": ns_steps, "betas": betas, "eps": eps}
        super().__init__(groups, options)

    def step_group(self, group: dict[str, Any], held: list[Tensor]) -> None:
        rule = self._orthogonal_step if group["rule"] == "muon" else self._adam_step
        rule(group, held)

    def _orthogonal_step(self, group: dict[str, Any], held: list[Tensor]) -> None:
        lr, decay, momentum = group["lr"], group["weight_decay"], group["momentum"]
        for alike in _same_shapes(held):
            updates = []
            for parameter in alike:
                state = self.state[parameter]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                assert parameter.grad is not None
                average = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
                updates.append(_whole(parameter.grad.lerp(average, momentum)))  # Nesterov's
            size = (
                ADAM_SIZE * max(alike[0].shape) ** 0.5
            )  # an orthogonal matrix has max(shape)^-0.5
            for parameter, update in zip(
                alike, _orthogonal(updates, group["ns_steps"]), strict=True
            ):
                parameter.mul_(1 - lr * decay)
                parameter.add_(_divided_like(parameter, update), alpha=-lr * size)

    def _adam_step(self, group: dict[str, Any], held: list[Tensor]) -> None:
        for parameter in held:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), dtype=torch.float32),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        states = [self.state[p] for p in held]
        on_cpu = all(p.device.type == "cpu" for p in held)
        adamw(
            [local(p) for p in held],
            [local(p.grad) for p in held if p.grad is not None],
            [local(state["exp_avg"]) for state in states],
            [local(state["exp_avg_sq"]) for state in states],
            [],
            [state["step"] for state in states],
            fused=on_cpu,  # as exact, and on CPU several times as fast
            foreach=not on_cpu,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def orthogonal_names(parameters: NamedParameters) -> set[str]:
    """Returns the names of the matrices that take orthogonal steps."""
    matrices = {name for name, p in parameters if p.ndim == 2}
    if any("blocks" in name.split(".") for name, _ in parameters):
        return {name for name in matrices if "blocks" in name.split(".")}
    return {name for name in matrices if not _is_outer(name)}


def _is_outer(name: str) -> bool:
    """Whether a name speaks of what stands before or after the layers."""
    words = name.lower().replace("_", ".").split(".")
    return any(w.startswith("embed") or w in ("head", "heads", "classifier") for w in words)


def newton_schulz(matrices: Tensor, steps: int) -> Tensor:
    """Returns U f(S) V^T for each U S V^T, where f brings the singular values to about 0.7 to 1.2.

    Args:
        matrices: (matrices, rows, columns), with no more rows than columns
        steps: iterations
    """
    a, b, c = COEFFICIENTS
    found = matrices.to(torch.promote_types(matrices.dtype, torch.float32))
    found = found / found.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    if matrices.device.type == "cuda" and matrices.dtype != torch.float64:
        found = found.bfloat16()  # enough, and fast on every GPU; few CPUs are fast in it
    for _ in range(steps):
        gram = found @ found.mT  # (matrices, rows, rows)
        found = torch.baddbmm(
            found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a
        )
    return found.to(matrices.dtype)


def _orthogonal(updates: list[Tensor], steps: int) -> list[Tensor]:
    """Newton-Schulz on matrices of one shape together, the tall ones laid down."""
    is_tall = [update.shape[0] > update.shape[1] for update in updates]
    lying = [u.mT if tall else u for u, tall in zip(updates, is_tall, strict=True)]
    found = newton_schulz(torch.stack(lying), steps)
    return [u.mT if tall else u for u, tall in zip(found, is_tall, strict=True)]


def _same_shapes(parameters: list[Tensor]) -> list[list[Tensor]]:
    """Parameters in lists of one shape, dtype and device; a matrix and its transpose have one shape."""
    found: dict[Any, list[Tensor]] = {}
    for parameter in parameters:
        key = (*sorted(parameter.shape), parameter.dtype, parameter.device)
        found.setdefault(key, []).append(parameter)
    return list(found.values())


def _whole(tensor: Tensor) -> Tensor:
    """Returns a tensor with the parts of all ranks."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _divided_like(parameter: Tensor, whole: Tensor) -> Tensor:
    """Returns of a tensor, which all ranks have, what this rank has of the parameter."""
    if not isinstance(parameter, DTensor):
        return whole
    mesh, placements = parameter.device_mesh, parameter.placements
    return distribute_tensor(whole, mesh, placements, src_data_rank=None)
