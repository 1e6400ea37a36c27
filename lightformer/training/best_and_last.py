"""Two checkpoints of a run: the best, and the last."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from lightformer.errors import StorageError
from lightformer.training.checkpoint_io import put_beside


class BestAndLast(Checkpoint):
    """Saves `last.ckpt` after each validation and at the end, and `best.ckpt` where a metric improved.

    It saves at the end of an optimizer step only, so that a run that goes on loses and repeats nothing.

    Args:
        every_n_steps: saves `last.ckpt` also every so many optimizer steps; 0 for not
    """

    def __init__(self, every_n_steps: int = 0) -> None:
        self.every_n_steps = every_n_steps
        self.best: dict[str, float] = {}
        """The metrics of the best checkpoint."""
        self.last_metrics: dict[str, float] = {}
        self.best_model_path = ""
        self.folder: Path | None = None
        self._saved_step = -1
        self._due = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        root = trainer.log_dir or trainer.default_root_dir  # asks all ranks
        self.folder = Path(str(trainer.strategy.broadcast(str(root)))) / "checkpoints"
        if trainer.is_global_zero and not is_trial(trainer):
            check_writable(self.folder)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.fit_loop._should_accumulate() or is_trial(trainer):
            return
        step = trainer.global_step
        ends = (
            step == trainer.max_steps
        )  # afterwards the epoch counts as done, though some of it is left
        if self._due or ends or (self.every_n_steps and step % self.every_n_steps == 0):
            self._save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit" or is_trial(trainer):
            return
        self.last_metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
        if trainer.fit_loop._should_accumulate():
            self._due = True  # in the middle of an optimizer step: wait for its end
        else:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not is_trial(trainer) and trainer.global_step != self._saved_step:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        assert self.folder is not None
        self._due, self._saved_step = False, trainer.global_step
        name, mode = getattr(trainer.lightning_module, "monitor", ("val/loss", "min"))
        now, before = self.last_metrics.get(name), self.best.get(name)
        improved = (
            now is not None
            and isfinite(now)
            and (before is None or (now < before if mode == "min" else now > before))
        )
        last, best = self.folder / "last.ckpt", self.folder / "best.ckpt"
        if improved:
            self.best, self.best_model_path = dict(self.last_metrics), str(best)
        trainer.save_checkpoint(last, weights_only=False)
        if improved and trainer.is_global_zero:
            put_beside(last, best)
        trainer.strategy.barrier("best and last")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = dict(state_dict["best"])


def is_trial(trainer: Trainer) -> bool:
    """Whether the trainer only tries a few batches, and leaves no files."""
    return bool(getattr(trainer, "fast_dev_run", False))


def check_writable(folder: Path) -> None:
    """Makes a folder for checkpoints.

    Raises:
        StorageError: nothing can be written there.
    """
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"Checkpoints go to {folder}, but that cannot be written ({error.strerror}); choose another "
            f"folder with --trainer.default_root_dir."
        ) from error
