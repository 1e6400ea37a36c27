"""A learning rate for each layer: the deeper it lies, the less it moves."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn
from torch.optim import Optimizer

from lightformer.errors import ConfigError
from lightformer.plain import from_plain

SHARE = "lr_share"
"""In a parameter group: by what its learning rate was multiplied."""


def check_decay(decay: float) -> float:
    """Returns a decay, unless by it a rate would grow with the depth, or be 0.

    Raises:
        ConfigError: it is not above 0 and at most 1.
    """
    if not 0.0 < from_plain(float, decay, "layer_lr_decay") <= 1.0:
        raise ConfigError(
            f"layer_lr_decay must be above 0 and at most 1, which is one rate for all, but is {decay}."
        )
    return decay


def shares(model: nn.Module, decay: float) -> dict[int, float]:
    """Returns by what the learning rate of each parameter of a task is multiplied, by its id.

    Heads have the full rate, the last block (with the norm after it) that times `decay`, and so on down to the
    embeddings. Layers that share a block have the rate of that block.
    """
    top = len(list(model.get_submodule("backbone.blocks").children()))
    return {id(p): decay ** _distance(name, top) for name, p in model.named_parameters()}


def _distance(name: str, num_blocks: int) -> int:
    """How far below the heads a parameter lies."""
    first, *rest = name.split(".")
    if first != "backbone":
        return 0
    if rest[0] == "blocks":
        return num_blocks - int(rest[1])
    return 1 if rest[0] == "norm" else num_blocks + 1


def divide(optimizer: Optimizer, share: Mapping[int, float]) -> None:
    """Divides the groups of an optimizer, so that each has parameters of one share; it keeps all else of them."""
    groups = []
    for group in optimizer.param_groups:
        found = sorted({share[id(p)] for p in group["params"]}, reverse=True)
        for each in found:
            own = [p for p in group["params"] if share[id(p)] == each]
            groups.append({**group, "params": own, "lr": group["lr"] * each, SHARE: each})
    optimizer.param_groups = groups
