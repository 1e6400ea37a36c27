"""The progress bar."""

from __future__ import annotations

import sys
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar


class ProgressBar(TQDMProgressBar):
    """Shows optimizer steps of all that are due, with the loss and tokens per second."""

    def __init__(self) -> None:
        # a terminal can be redrawn at each step; in a file each redraw is a line
        super().__init__(refresh_rate=1 if sys.stderr.isatty() else 50)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        rate = shown.pop("tokens/s", None)
        metrics: dict[str, Any] = {"step": f"{trainer.global_step}"}
        if trainer.max_steps > 0:
            metrics["step"] += f"/{trainer.max_steps}"
        metrics |= shown
        if rate is not None:
            metrics["tokens/s"] = f"{float(str(rate)):,.0f}"
        return metrics
