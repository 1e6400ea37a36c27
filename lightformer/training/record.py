"""What a run leaves behind beside weights: its config, its tokenizer, how good it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightformer.training.best_and_last import is_trial


class Record(Callback):
    """Puts the config, and hyper-parameters with the final metrics, into TensorBoard.

    Args:
        config: the run's config as YAML, for TensorBoard's text tab
    """

    def __init__(self, config: str = "") -> None:
        self.config = config

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.tokenizer = getattr(trainer.datamodule, "tokenizer", None)  # type: ignore[attr-defined,assignment]
        if trainer.is_global_zero and self.config and (writer := _writer(trainer)) is not None:
            indented = "\n".join("    " + line for line in self.config.splitlines())
            writer.add_text("config", indented, 0)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        writer = _writer(trainer)
        if not trainer.is_global_zero or writer is None or is_trial(trainer):
            return
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        if metrics:
            hparams = flatten({k: v for k, v in pl_module.hparams.items() if k != "vocabulary"})
            trainer.logger.log_hyperparams(hparams, metrics, trainer.global_step)  # type: ignore[union-attr]


def write_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Writes the tokenizer beside the checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options as one level of dotted names, in words and numbers that TensorBoard can show.

    A part's name stands under the part's own name: `backbone.attention: gqa`.
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        elif key == "name":
            flat[prefix.rstrip(".")] = value
        else:
            flat[prefix + key] = value if isinstance(value, (int, float, str, bool)) else str(value)
    return flat


def _writer(trainer: Trainer) -> Any:
    writer = getattr(trainer.logger, "experiment", None)
    return writer if hasattr(writer, "add_text") else None
