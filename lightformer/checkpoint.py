"""Checkpoints: reading them safely, and putting their weights into a model.

A checkpoint is Lightning's, with one entry of our own, `lightformer`: the name of the task, the plugins that
were loaded, and the tokenizer. It is read as data alone: nothing in it is run, imported or taken as a path.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lightformer.checks import check_weights
from lightformer.errors import CheckpointError
from lightformer.hf.folder import is_folder
from lightformer.hf.reading import read_folder, their_name
from lightformer.paths import existing_checkpoint

FORMAT = 1


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Returns what a checkpoint holds; a folder of `transformers` is one too.

    Raises:
        CheckpointError: there is none, it is damaged, or it holds more than data.
    """
    folder = is_folder(path)
    checkpoint = read_folder(path, FORMAT) if folder else read_data(path, map_location)
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise CheckpointError(
            f"{path} is not a checkpoint of lightformer: it has no state_dict with a model's weights in it."
        )
    _check_finite(Path(path), checkpoint["state_dict"])
    return checkpoint


def read_data(path: str | Path, map_location: Any = "cpu") -> Any:
    """Returns what a file of `torch.save` holds, once its checksums are right; it can hold data alone.

    Raises:
        CheckpointError: there is none, it is damaged, or it holds more than data.
    """
    if "://" in str(path):
        raise CheckpointError(
            f"A checkpoint is a local file, but {path} is an address; download it first."
        )
    path = existing_checkpoint(path)
    if path.is_dir():
        inside = sorted(path.rglob("*.ckpt"))
        hint = (
            f"; name the file, such as {inside[0]}" if inside else ", and has no checkpoint in it"
        )
        raise CheckpointError(f"{path} is a folder{hint}.")
    try:
        damaged = zipfile.ZipFile(path).testzip()
    except zipfile.BadZipFile:
        raise CheckpointError(
            f"{path} is not a whole checkpoint: it is cut off, or another kind of file.{_whole(path)}"
        ) from None
    if damaged is not None:
        raise CheckpointError(
            f"{path} is damaged: the checksum of its record {damaged} does not match.{_whole(path)}"
        )
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path} holds more than data and was not opened: {reason}"
        ) from error


def _whole(path: Path) -> str:
    """Which checkpoints beside a damaged one are whole, newest first."""
    others = sorted(path.parent.glob("*.ckpt"), key=lambda p: p.stat().st_mtime, reverse=True)
    for other in others:
        try:
            if other != path and zipfile.ZipFile(other).testzip() is None:
                return f" This one is whole: {other}."
        except (zipfile.BadZipFile, OSError):
            continue
    return ""


def not_finite(state: Mapping[str, Any]) -> list[str]:
    """Returns the names of tensors that hold infinite numbers, or what is none."""
    return [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()]


def _check_finite(path: Path, state: Mapping[str, Any]) -> None:
    if bad := not_finite(state):
        raise CheckpointError(
            f"{path} holds numbers that are not finite, in {bad[0]} and {len(bad) - 1} more of "
            f"{len(state)} tensors; start from an earlier checkpoint."
        )


def own_entry(path: str | Path, checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    own = checkpoint.get("lightformer")
    if not isinstance(own, Mapping) or "task" not in own:
        raise CheckpointError(
            f"{path} was not written by lightformer: it has weights, but does not say which model they are of."
        )
    if own.get("format", 0) > FORMAT:
        raise CheckpointError(
            f"{path} has format {own['format']}, but this version of lightformer reads up to {FORMAT}; "
            f"upgrade lightformer."
        )
    return own


def load_weights(model: nn.Module, state: Mapping[str, Any], path: str | Path) -> None:
    """Puts weights into a model.

    Raises:
        CheckpointError: they do not fit; what differs is named, by the names of the file.
    """
    check_fits(model, state, str(path), their_name(path) if is_folder(path) else str)
    model.load_state_dict(dict(state))


def check_fits(
    model: nn.Module, state: Mapping[str, Any], path: str, name_of: Callable[[str], str] = str
) -> None:
    """Compares the names and shapes of weights with those of a model.

    Args:
        model: where the weights belong
        state: the weights
        path: where they come from, for messages
        name_of: how a weight is called there

    Raises:
        CheckpointError: they differ; what differs is named.
    """
    check_weights(model.state_dict(), state, path, name_of)
