"""Predictions as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter

from lightformer.errors import StorageError


class WritePredictions(BasePredictionWriter):
    """Writes what a task predicts, a row a line, as JSON.

    Args:
        path: the file; with several processes, each writes its own rows to a file with its number
    """

    def __init__(self, path: Path) -> None:
        super().__init__(write_interval="batch")
        self.path = path
        self.rows = 0

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size > 1:
            self.path = self.path.with_suffix(f".{trainer.global_rank}{self.path.suffix}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error.strerror}.") from error

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            for row in prediction:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                self.rows += 1

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        print(f"{self.rows} predictions: {self.path}")
