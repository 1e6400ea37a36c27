"""Stochastic gradient descent."""

from __future__ import annotations

import torch

from lightformer.checks import check_not_negative
from lightformer.optimizer import NamedParameters, decay_groups
from lightformer.registry import register


@register("optimizer", "sgd", forms=[{}, {"momentum": 0.0, "weight_decay": 0.01}])
def sgd(
    parameters: NamedParameters,
    /,
    *,
    lr: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Steps along the gradient, with momentum.

    Paper: Sutskever et al., 2013, On the importance of initialization and momentum in deep learning

    Args:
        lr: peak learning rate
        momentum: share of the last step that is repeated
        weight_decay: added to the gradient of each matrix, times its weights
    """
    check_not_negative(lr, "lr")
    check_not_negative(momentum, "momentum")
    check_not_negative(weight_decay, "weight_decay")
    return torch.optim.SGD(decay_groups(parameters, weight_decay), lr=lr, momentum=momentum)
