"""What the command line gives a Trainer beside what the user asks for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from lightformer.training.best_and_last import BestAndLast
from lightformer.training.checkpoint_io import AtomicCheckpointIO
from lightformer.training.metrics import TrainingMetrics
from lightformer.training.predictions import WritePredictions
from lightformer.training.progress import ProgressBar
from lightformer.training.record import Record
from lightformer.training.samples import TextSamples
from lightformer.training.stop import GracefulStop, StopOnNonFinite


def run_logger(root: str | None, name: str) -> TensorBoardLogger:
    """Returns the logger of a run: `<root>/<name>/version_N`, root being `runs` by default."""
    return TensorBoardLogger(
        save_dir=root or "runs", name=name, default_hp_metric=False, sub_dir=None
    )


def run_callbacks(
    trainer: dict[str, Any], given: Iterable[object], config: str, output: str | None
) -> list[Callback]:
    """Returns the callbacks of a run, without those that the user gave or turned off.

    Args:
        trainer: options of the Trainer
        given: the user's callbacks
        config: the run's config as YAML
        output: where predictions go; None where none are made
    """
    callbacks: list[Callback] = [
        TrainingMetrics(),
        StopOnNonFinite(),
        TextSamples(),
        Record(config),
        BestAndLast(),
        GracefulStop(),  # after what it relies on
    ]
    saves = trainer.get("enable_checkpointing")
    if saves is False or (saves is None and trainer.get("logger") is False):  # no folder of a run
        callbacks = [c for c in callbacks if not isinstance(c, BestAndLast)]
    if trainer.get("enable_progress_bar") is not False:
        callbacks.append(ProgressBar())
    if output is not None:  # after the bar, which would run into what is said at the end
        callbacks.append(WritePredictions(Path(output)))
    kinds = {type(callback) for callback in given}
    has_bar = any(isinstance(callback, TQDMProgressBar) for callback in given)
    return [
        c
        for c in callbacks
        if type(c) not in kinds and not (has_bar and isinstance(c, ProgressBar))
    ]


def run_plugins(given: object) -> list[Any]:
    """Returns the Trainer's plugins: the user's, and the one that writes checkpoints safely."""
    plugins = [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]
    return [*plugins, AtomicCheckpointIO()]
