"""Files that a user names."""

from __future__ import annotations

from pathlib import Path

from lightformer.errors import CheckpointError, did_you_mean


def existing_checkpoint(path: str | Path) -> Path:
    """Returns the path of a checkpoint that is there.

    Raises:
        CheckpointError: it is not; those beside it are named.
    """
    path = Path(path)
    if path.exists():
        return path
    beside = sorted(p.name for p in path.parent.glob("*.ckpt")) if path.parent.is_dir() else []
    hint = did_you_mean(path.name, beside, "In that folder") if beside else ""
    raise CheckpointError(f"There is no checkpoint {path}.{hint}")
