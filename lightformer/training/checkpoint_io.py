"""Writing checkpoints so that a crash at any moment leaves each file whole."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from lightformer.checkpoint import not_finite, read_checkpoint, read_data
from lightformer.errors import NonFiniteError, StorageError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, syncs, reads back, and only then puts the file under its name.

    A name therefore always stands for a whole checkpoint: the new one, or the one before.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        target = Path(path)
        if bad := not_finite(checkpoint.get("state_dict", {})):
            raise NonFiniteError(
                f"The weights are not finite, first in {bad[0]}, and are not saved; the checkpoints are as before. "
                f"Lower --model.optimizer.lr, or give it a longer warm-up (--model.schedule.warmup_steps)."
            )
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(
                prefix=f".{target.name}.", suffix=".partial", dir=target.parent
            )
        except OSError as error:
            raise StorageError(
                f"No checkpoint can be written to {target}: {error.strerror}."
            ) from error
        partial = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if (damaged := zipfile.ZipFile(partial).testzip()) is not None:
                raise StorageError(
                    f"{target} reads back differently ({damaged}); the disk may be failing."
                )
            partial.chmod(0o666 & ~_umask())
            partial.replace(target)
            _sync_folder(target.parent)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
            if isinstance(error, StorageError):
                raise
            free, needed = shutil.disk_usage(target.parent).free, _size(checkpoint)
            raise StorageError(
                f"{target} cannot be written: it needs about {needed:,} bytes and {free:,} are free "
                f"({str(error).splitlines()[0]}); earlier checkpoints are as they were."
            ) from error
        finally:
            partial.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        # Spawned ranks hand their weights back in a file of this name, which is no checkpoint.
        read = read_data if Path(path).name == ".temp.ckpt" else read_checkpoint
        return read(path, map_location or "cpu")


def put_beside(source: Path, target: Path) -> None:
    """Makes `target` the same file as `source`, at once and without a second write where the disk can."""
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        partial.hardlink_to(source)
    except OSError:
        shutil.copy2(source, partial)
    partial.replace(target)
    _sync_folder(target.parent)


def _size(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(_size(v) for v in value.values())
    return sum(_size(v) for v in value) if isinstance(value, (list, tuple)) else 0


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
