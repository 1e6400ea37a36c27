"""Learning rate, gradient norm and speed of training."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer


def _is_logged(trainer: Trainer) -> bool:
    every = int(getattr(trainer, "log_every_n_steps", 0))
    return every > 0 and trainer.global_step % every == 0


class TrainingMetrics(Callback):
    """Logs `train/lr`, `train/grad_norm` (before clipping) and `train/tokens_per_second`, over all ranks.

    Where layers have rates of their own, `train/lr` is the highest of them.
    """

    def __init__(self) -> None:
        self._tokens = 0
        self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restart()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restart()  # what validation takes is not the speed of training

    def _restart(self) -> None:
        self._tokens, self._since = 0, time.perf_counter()

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        if _is_logged(trainer):
            grads = [p.grad for p in pl_module.parameters() if p.grad is not None]
            pl_module.log("train/grad_norm", torch.nn.utils.get_total_norm(grads))
            pl_module.log("train/lr", max(group["lr"] for group in optimizer.param_groups))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        mask = batch.get("attention_mask")
        self._tokens += batch["input_ids"].numel() if mask is None else int(mask.sum())
        passed = time.perf_counter() - self._since
        if _is_logged(trainer) and passed > 0:
            rate = self._tokens * trainer.world_size / passed
            pl_module.log("train/tokens_per_second", rate)
            pl_module.log("tokens/s", rate, prog_bar=True, logger=False)
            self._restart()
