"""A folder of `transformers`: its settings, its tensors, its tokenizer. All of it is read as data alone."""

from __future__ import annotations

import re
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from lightformer.errors import CheckpointError
from lightformer.special_tokens import read_json

SETTINGS, TENSORS = "config.json", "model.safetensors"
INDEX = f"{TENSORS}.index.json"


def is_folder(path: str | Path) -> bool:
    """Whether this is a folder of `transformers`.

    Raises:
        CheckpointError: the system does not let anybody know.
    """
    try:
        return (Path(path) / SETTINGS).is_file()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Returns all tensors, mapped into memory: what is not used is never read.

    Raises:
        CheckpointError: there are none, or a file is missing or damaged.
    """
    found: dict[str, Tensor] = {}
    for file in _files(folder):
        try:
            with safe_open(file, framework="pt") as tensors:
                found |= {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
        except FileNotFoundError as error:
            raise CheckpointError(f"{folder} lacks {file.name}, which its index names.") from error
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} is no whole safetensors file ({error}).") from error
    return found


def _files(folder: Path) -> list[Path]:
    if (folder / TENSORS).is_file():
        return [folder / TENSORS]
    if (folder / INDEX).is_file():
        names = read_json(folder / INDEX).get("weight_map")
        if not isinstance(names, dict) or not names:
            raise CheckpointError(f"{folder / INDEX} has no weight_map.")
        files = sorted({str(name) for name in names.values()})
        for file in files:
            if not re.fullmatch(r"[^/\\\0\ud800-\udfff]+\.safetensors", file):
                raise CheckpointError(
                    f"{folder / INDEX} names {file!r}, which is no safetensors file in the folder itself."
                )
        return [folder / file for file in files]
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    hint = (
        f"; {pickled[0]} is a pickle, which may run code and is not opened: write it anew with save_pretrained, "
        "which makes safetensors of it"
        if pickled
        else ""
    )
    raise CheckpointError(f"{folder} has no {TENSORS}{hint}.")
