"""Adam with decoupled weight decay."""

from __future__ import annotations

import torch

from lightformer.checks import check_dropout, check_not_negative
from lightformer.optimizer import NamedParameters, decay_groups
from lightformer.registry import register


@register("optimizer", "adamw")
def adamw(
    parameters: NamedParameters,
    /,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Steps of a size that adapts to each weight; weights decay apart from the gradient.

    Paper: Loshchilov and Hutter, 2017, arXiv:1711.05101

    Args:
        lr: peak learning rate
        weight_decay: share of each matrix that is lost in a step, times the learning rate; vectors keep all
        betas: how long the averages of the gradient and of its square last
        eps: added to the divisor
    """
    check_not_negative(lr, "lr")
    check_not_negative(weight_decay, "weight_decay")
    check_not_negative(eps, "eps")
    for beta in betas:
        check_dropout(beta, "each of betas")
    groups = decay_groups(parameters, weight_decay)
    on_cpu = all(p.device.type == "cpu" for _, p in parameters)
    # The fused step is as exact, and on CPU several times as fast; on GPU Lightning cannot clip beside it.
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=on_cpu or None)
    optimizer._step_supports_amp_scaling = (
        False  # else Lightning takes it to scale gradients itself
    )
    return optimizer
