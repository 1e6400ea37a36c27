"""Models of `transformers`, taken in and given out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightformer.checkpoint import own_entry, read_checkpoint
from lightformer.data.folders import is_taken, publish
from lightformer.errors import CheckpointError, StorageError
from lightformer.hf.folder import SETTINGS, TENSORS, is_folder
from lightformer.hf.writing import Folder, express, write_folder
from lightformer.loading import find_task, model_of, needing_plugins
from lightformer.merging import merged
from lightformer.tasks import Task
from lightformer.training.checkpoint_io import AtomicCheckpointIO

CHECKPOINT = "model.ckpt"


def import_hf(folder: str | Path, output: str | Path) -> Task:
    """Writes a model of `transformers` as a checkpoint, with its tokenizer, and returns it.

    `lightformer.load` and `init_from` take such a folder as it is; a checkpoint is for a folder that will not stay.

    Args:
        folder: with config.json and model.safetensors, or shards of it; tokenizer.json comes along
        output: a new folder, for model.ckpt and tokenizer.json

    Raises:
        CheckpointError: there is no such model, or lightformer cannot read it; it says why.
        StorageError: the output is there already, or cannot be written.
    """
    if not is_folder(folder):
        raise CheckpointError(f"{folder} is no folder of transformers: it has no {SETTINGS}.")
    checkpoint = read_checkpoint(folder)
    task = model_of(checkpoint, folder)
    with _new_folder(Path(output)) as new:
        AtomicCheckpointIO().save_checkpoint(checkpoint, new / CHECKPOINT)
        if task.tokenizer is not None:
            task.tokenizer.save(new)
    return task


def export_hf(checkpoint: str | Path, output: str | Path, family: str | None = None) -> Folder:
    """Writes a checkpoint as a folder that `from_pretrained` of `transformers` loads.

    Args:
        checkpoint: of any task for which there is a class
        output: a new folder
        family: as what to write it, such as `bert`; by default the one that it came from, or the first that can
            express it

    Raises:
        CheckpointError: no family can express the model; it says what in it stands in the way.
        StorageError: the output is there already, or cannot be written.
    """
    read: Mapping[str, Any] = read_checkpoint(checkpoint)
    own = own_entry(checkpoint, read)
    with needing_plugins(own, checkpoint):
        read = merged(read)
        folder = express(read, _defaults(find_task(own["task"])), family, str(checkpoint))
    with _new_folder(Path(output)) as new:
        write_folder(folder, new)
    return folder


def _defaults(task: type[Task]) -> dict[str, Any]:
    """The defaults of the options that a task adds to those of all."""
    parameters = inspect.signature(task.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Gives a folder to fill, which gets its name when it is whole."""
    taken = StorageError(f"{target} is there already; name a new folder, or move it away.")
    if is_taken(target):
        raise taken
    with publish(target, "name a folder in a place") as folder:
        if folder is None:  # another process was faster
            raise taken
        yield folder


def sizes(folder: str | Path) -> dict[str, int]:
    """Returns the bytes of each file with a model in it."""
    files = [path for path in Path(folder).iterdir() if path.name.endswith((TENSORS, ".ckpt"))]
    return {path.name: path.stat().st_size for path in sorted(files)}
