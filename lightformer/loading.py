"""From a checkpoint to a trained model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightformer.checkpoint import load_weights, own_entry, read_checkpoint
from lightformer.errors import CheckpointError, ConfigError, PluginError, did_you_mean
from lightformer.plugins import load_plugins
from lightformer.special_tokens import named_by
from lightformer.tasks import Task
from lightformer.tokenizer import Tokenizer


def load(path: str | Path, map_location: Any = "cpu") -> Task:
    """Returns the trained model of a checkpoint, ready for use, with its tokenizer.

        model = lightformer.load("runs/clm/version_0/checkpoints/best.ckpt")
        print(model.generate_text("Once upon a time"))

    Plugins that are installed are found; those of your own must be loaded before, by importing them or by
    `lightformer.load_plugins`.

    Args:
        path: a checkpoint of any task
        map_location: the device to put it on

    Raises:
        CheckpointError: it cannot be read, or does not fit what is installed.
    """
    return model_of(read_checkpoint(path), path).to(map_location)


def model_of(checkpoint: Mapping[str, Any], path: str | Path) -> Task:
    """Returns the trained model of a checkpoint that was read, on the CPU.

    Args:
        checkpoint: as `read_checkpoint` gives it
        path: where it comes from, for messages

    Raises:
        CheckpointError: it does not fit what is installed.
    """
    own = own_entry(path, checkpoint)
    if own.get("refused"):
        raise CheckpointError(own["refused"])
    load_plugins(folder=None)  # the installed ones
    cls = find_task(own["task"])
    try:
        with needing_plugins(own, path):
            task = cls(**checkpoint["hyper_parameters"])
    except (ConfigError, TypeError) as error:
        raise CheckpointError(
            f"{path} does not fit this version of lightformer: {error}"
        ) from error
    load_weights(task, checkpoint["state_dict"], path)
    task.origin = own.get("origin")
    if own.get("tokenizer"):
        task.tokenizer = Tokenizer.from_json(own["tokenizer"], named_by(task.vocabulary))
    return task.eval()


@contextmanager
def needing_plugins(own: Mapping[str, Any], path: str | Path) -> Iterator[None]:
    """Says of a part that is not there which plugins a checkpoint was trained with.

    Args:
        own: the entry of lightformer's in the checkpoint
        path: where it comes from

    Raises:
        CheckpointError: a plugin is not loaded.
    """
    try:
        yield
    except PluginError as error:
        names = ", ".join(own.get("plugins", {})) or "none"
        raise CheckpointError(
            f"{path} needs a plugin that is not loaded. {error} It was trained with these plugins: {names}; "
            f"load yours with lightformer.load_plugins([...]) or --plugins."
        ) from error


def find_task(name: str) -> type[Task]:
    """Returns the task of that name: one of lightformer's, or of a plugin that is loaded.

    Raises:
        CheckpointError: there is none.
    """
    found: dict[str, type[Task]] = {}
    classes = list(Task.__subclasses__())
    while classes:
        cls = classes.pop()
        found[cls.__name__] = cls
        classes += cls.__subclasses__()
    if name not in found:
        raise CheckpointError(
            f"There is no task {name!r}; a plugin of yours that defines it must be loaded first."
            f"{did_you_mean(name, found)}"
        )
    return found[name]
