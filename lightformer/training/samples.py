"""What the model says, in TensorBoard's text tab, at each validation."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightformer.tasks import Task


class TextSamples(Callback):
    """Writes a few predictions of the first validation batch as text.

    Args:
        limit: about how many
    """

    def __init__(self, limit: int = 4) -> None:
        self.limit = limit
        self._batch: Any = None

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0:
            self._batch = batch

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batch, self._batch = self._batch, None
        writer: Any = getattr(trainer.logger, "experiment", None)
        tokenizer = getattr(trainer.datamodule, "tokenizer", None)  # type: ignore[attr-defined]
        if trainer.sanity_checking or trainer.logger is None or batch is None or tokenizer is None:
            return
        if isinstance(pl_module, Task):
            text = pl_module.describe(
                batch, tokenizer, self.limit
            )  # on all ranks: a model may be divided
            if trainer.is_global_zero and hasattr(writer, "add_text"):
                writer.add_text("predictions", text, trainer.global_step)
