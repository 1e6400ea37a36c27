"""Steps of one size, along the sign of the momentum."""

from __future__ import annotations

from typing import Any

import torch

from lightformer.checks import check_dropout, check_not_negative
from lightformer.optimizer import GroupOptimizer, NamedParameters, decay_groups, local
from lightformer.registry import register


@register("optimizer", "lion")
class Lion(GroupOptimizer):
    """Steps by the sign of the momentum: each weight moves by the learning rate, up or down.

    It keeps one number a weight where Adam keeps two. Its steps are larger than Adam's at the same rate, so the
    authors take a learning rate 3 to 10 times smaller, and a weight decay larger by as much.

    Paper: Chen et al., 2023, arXiv:2302.06675

    Args:
        lr: peak learning rate
        weight_decay: share of each matrix that is lost in a step, times the learning rate; vectors keep all
        betas: how much of the momentum a step sees, and how long the momentum lasts
    """

    def __init__(
        self,
        parameters: NamedParameters,
        /,
        *,
        lr: float = 1e-4,
        weight_decay: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        check_not_negative(lr, "lr")
        check_not_negative(weight_decay, "weight_decay")
        for beta in betas:
            check_dropout(beta, "each of betas")
        super().__init__(decay_groups(parameters, weight_decay), {"lr": lr, "betas": betas})

    def step_group(self, group: dict[str, Any], held: list[torch.Tensor]) -> None:
        for parameter in held:
            if not self.state[parameter]:
                self.state[parameter]["exp_avg"] = torch.zeros_like(parameter)
        parameters = [local(p) for p in held]
        gradients = [local(p.grad) for p in held if p.grad is not None]
        momenta = [local(self.state[p]["exp_avg"]) for p in held]
        (seen, lasting), lr = group["betas"], group["lr"]
        updates = torch._foreach_lerp(gradients, momenta, seen)
        torch._foreach_sign_(updates)
        torch._foreach_mul_(parameters, 1 - lr * group["weight_decay"])
        torch._foreach_add_(parameters, updates, alpha=-lr)
        torch._foreach_lerp_(momenta, gradients, 1 - lasting)
