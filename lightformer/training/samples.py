"""What the model says, in TensorBoard's text tab, at each validation."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


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
        if batch_idx == 0 and trainer.is_global_zero:
            self._batch = batch

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batch, self._batch = self._batch, None
        writer = getattr(trainer.logger, "experiment", None)
        tokenizer = getattr(trainer.datamodule, "tokenizer", None)  # type: ignore[attr-defined]
        describe = getattr(pl_module, "describe", None)
        if trainer.sanity_checking or None in (batch, writer, tokenizer, describe):
            return
        text = describe(batch, tokenizer, self.limit)
        if text and hasattr(writer, "add_text"):
            writer.add_text("predictions", text, trainer.global_step)
