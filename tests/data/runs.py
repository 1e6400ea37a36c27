"""Trainers that only count, to stand in for Lightning's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def trainer(world: int = 1, rank: int = 0, accumulate: int = 1, **more: Any) -> Any:
    """Returns what a loader asks of a trainer: where it stands, and of how many it is one."""
    progress = SimpleNamespace(current=SimpleNamespace(ready=more.pop("ready", 0)))
    return SimpleNamespace(
        world_size=world,
        global_rank=rank,
        accumulate_grad_batches=accumulate,
        training=True,
        overfit_batches=0,
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
        **{"predicting": False, "current_epoch": 0, "num_training_batches": float("inf"), **more},
    )
