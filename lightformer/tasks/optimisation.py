"""Optimizer and schedule of a run, as Lightning wants them."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import nn

from lightformer.errors import ConfigError
from lightformer.optimizer import OptimizerSpec
from lightformer.schedule import ScheduleSpec
from lightformer.tasks import layer_rates


def optimisation(
    model: nn.Module,
    optimizer: OptimizerSpec,
    schedule: ScheduleSpec,
    trainer: Trainer,
    layer_lr_decay: float = 1.0,
) -> dict[str, Any]:
    """Returns what `configure_optimizers` does, for the parameters that learn."""
    parameters = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    made = optimizer(parameters)
    if layer_lr_decay != 1.0:
        layer_rates.divide(made, layer_rates.shares(model, layer_lr_decay))
    rule = schedule(total_steps(trainer))
    scheduler = torch.optim.lr_scheduler.LambdaLR(made, lambda step: rule.factor(step))
    return {"optimizer": made, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def total_steps(trainer: Trainer) -> int:
    """Returns how many optimizer steps a run makes.

    Raises:
        ConfigError: it has no end.
    """
    if trainer.max_steps > 0:
        return trainer.max_steps
    steps = trainer.estimated_stepping_batches
    if steps == float("inf"):
        raise ConfigError(
            "A schedule needs to know how long training takes, but it has no end; set "
            "trainer.max_steps or trainer.max_epochs."
        )
    return int(steps)
