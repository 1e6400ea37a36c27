"""Stopping well: on a signal, or when the loss is no number any more."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from lightformer.errors import NonFiniteError
from lightformer.training.best_and_last import BestAndLast


class Stopped(SystemExit):
    """Ends a run that a signal stopped, with exit code 128 + the signal's number."""


class GracefulStop(Callback):
    """On Ctrl-C or SIGTERM: finishes the optimizer step, saves, says how to go on, and ends.

    The handler only sets a flag; all ranks agree on it at the end of a step, and save together. A second
    signal ends at once.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self._signal = 0
        self._handlers: dict[int, Any] = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal:
            os._exit(128 + number)
        self._signal = number

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._handlers = {number: signal.signal(number, self._on_signal) for number in self.SIGNALS}

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.fit_loop._should_accumulate():
            return
        if not trainer.strategy.reduce_boolean_decision(bool(self._signal), all=False):
            return
        number = self._signal or signal.SIGTERM
        saves = [c for c in trainer.checkpoint_callbacks if isinstance(c, BestAndLast)]
        folder = saves[0].folder if saves else None
        how = "nothing was saved, as this run has no folder for checkpoints"
        if folder is not None:
            path = folder / "last.ckpt"
            trainer.save_checkpoint(path, weights_only=False)
            how = f"go on with: lightformer fit --config {folder.parent / 'config.yaml'} --ckpt_path {path}"
        if trainer.is_global_zero:
            name = signal.Signals(number).name
            print(
                f"\nstopped by {name} after step {trainer.global_step}; {how}",
                file=sys.stderr,
                flush=True,
            )
        self._restore()
        raise Stopped(128 + number)


class StopOnNonFinite(Callback):
    """Ends a run whose loss or gradients are infinite or not a number, before they reach the weights.

    Args:
        patience: so many steps in a row; each of them is left out
    """

    def __init__(self, patience: int = 1) -> None:
        self.patience = patience
        self._in_a_row = 0

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        if getattr(trainer.precision_plugin, "scaler", None) is not None:
            return  # in 16-mixed the scaler looks for steps that overflow, and leaves them out
        grads = {n: p.grad for n, p in pl_module.named_parameters() if p.grad is not None}
        if bool(torch.nn.utils.get_total_norm(grads.values()).isfinite()):
            self._in_a_row = 0
            return
        self._in_a_row += 1
        broken = (n for n, g in grads.items() if not bool(g.isfinite().all()))
        worst = next(broken, "their sum")
        if self._in_a_row >= self.patience:
            raise NonFiniteError(
                f"The gradient is not finite at step {trainer.global_step}, first in {worst}; the weights and the "
                f"checkpoints are as before. Lower --model.optimizer.lr, or give it a longer warm-up "
                f"(--model.schedule.warmup_steps)."
            )
        for parameter in pl_module.parameters():
            parameter.grad = None  # the step is left out
