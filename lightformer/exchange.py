"""Models of `transformers`, taken in and given out."""

from __future__ import annotations

import inspect
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightformer.checkpoint import FORMAT, own_entry, read_checkpoint
from lightformer.errors import CheckpointError, StorageError
from lightformer.hf.folder import SETTINGS, TENSORS, TOKENIZER, is_folder
from lightformer.hf.reading import read_folder
from lightformer.hf.writing import Folder, express, write_folder
from lightformer.loading import find_task, load
from lightformer.merging import merged
from lightformer.plain import from_plain
from lightformer.tasks import Task
from lightformer.training.checkpoint_io import AtomicCheckpointIO
from lightformer.vocabulary import Vocabulary

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
    task = load(folder)
    checkpoint = read_folder(folder, FORMAT)
    with _new_folder(Path(output)) as new:
        AtomicCheckpointIO().save_checkpoint(checkpoint, new / CHECKPOINT)
        if task.tokenizer is not None:
            shutil.copyfile(Path(folder) / TOKENIZER, new / TOKENIZER)
    return task


def export_hf(checkpoint: str | Path, output: str | Path, family: str | None = None) -> Folder:
    """Writes a checkpoint as a folder that `from_pretrained` of `transformers` loads.

    Args:
        checkpoint: of any task for which there is a class
        output: a new folder
        family: as what to write it, such as `bert`; the first that can express it by default

    Raises:
        CheckpointError: no family can express the model; it says what in it stands in the way.
        StorageError: the output is there already, or cannot be written.
    """
    read = merged(read_checkpoint(checkpoint))
    own = own_entry(checkpoint, read)
    folder = express(read, _defaults(find_task(own["task"])), family, str(checkpoint))
    vocabulary = from_plain(Vocabulary, read["hyper_parameters"]["vocabulary"], "vocabulary")
    with _new_folder(Path(output)) as new:
        write_folder(folder, vocabulary, own.get("tokenizer"), new)
    return folder


def _defaults(task: type[Task]) -> dict[str, Any]:
    """The defaults of the options that a task adds to those of all."""
    parameters = inspect.signature(task.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Gives a folder to fill, which gets its name when it is whole."""
    if target.exists():
        raise StorageError(f"{target} is there already; name a new folder, or move it away.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise StorageError(f"{target} cannot be written ({error.strerror}).") from error
    try:
        yield folder
        folder.chmod(0o755)
        os.rename(folder, target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sizes(folder: str | Path) -> dict[str, int]:
    """Returns the bytes of each file with a model in it."""
    files = [path for path in Path(folder).iterdir() if path.name.endswith((TENSORS, ".ckpt"))]
    return {path.name: path.stat().st_size for path in sorted(files)}
