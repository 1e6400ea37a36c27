"""What a user names as data: a file, a folder, a pattern, or a data set of the `datasets` library."""

from __future__ import annotations

import glob
import json
from collections.abc import Sequence
from pathlib import Path

from lightformer.data.reading.hub import HUB
from lightformer.errors import DataError, did_you_mean

KINDS = (".txt", ".jsonl", ".json", ".csv", ".tsv", ".parquet")
SAVED = ".arrow"
"""How the files end in which the datasets library saves data."""

_PACKED = (".gz", ".zst")


def kind_of(path: Path) -> str:
    """Returns how the name of a file ends, without the ending of its compression.

    Raises:
        DataError: it is of no kind that can be read.
    """
    *_, kind, last = ["", "", *(suffix.lower() for suffix in path.suffixes)]
    found = kind if last in _PACKED else last
    if found not in (*KINDS, SAVED):
        raise DataError(
            f"{path} is of an unknown kind; it must be one of {', '.join(KINDS)}, "
            "or one of these with .gz or .zst."
        )
    if found in (".parquet", SAVED) and found != last:
        raise DataError(f"{path} must be unpacked first; {found} files are compressed inside.")
    return found


def expand(names: str | Sequence[str], option: str) -> list[str]:
    """Returns the files that names stand for, each once; sorted within a pattern or a folder.

    Args:
        names: files, folders, patterns such as `texts/**/*.txt`, or names of data sets
        option: the option that they come from, for messages

    Raises:
        DataError: there is no such file.
    """
    found: list[str] = []
    for name in [names] if isinstance(names, str) else names:
        if name.startswith(HUB):
            found.append(name)
        else:
            files = _files(Path(name).expanduser(), option)
            for file in files:
                kind_of(file)
            found += map(str, files)
    return list(dict.fromkeys(found))


def _files(path: Path, option: str) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        return _inside(path, option)
    if path.exists():
        raise DataError(f"{option}: {path} is a pipe or a device; write what it gives to a file.")
    matches = sorted(m for m in map(Path, glob.glob(str(path), recursive=True)) if m.is_file())
    if not matches:
        raise DataError(f"{option}: there is no file {path}.{_near(path)}")
    return matches


def _inside(folder: Path, option: str) -> list[Path]:
    """The files of a folder and those below it that can be read; hidden ones are left out."""
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(state.parent.name for state in folder.glob("*/state.json"))
        raise DataError(
            f"{option}: {folder} holds several splits; name one, as in {folder / 'train'}. "
            f"Splits: {', '.join(splits) or 'none'}."
        )
    if (folder / "state.json").is_file():
        return _saved(folder)
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
        and path.name.lower().removesuffix(".gz").removesuffix(".zst").endswith(KINDS)
    ]
    if not found:
        raise DataError(
            f"{option}: the folder {folder} has no file that can be read; there must be one of "
            f"{', '.join(KINDS)}, or one of these with .gz or .zst."
        )
    return found


def _saved(folder: Path) -> list[Path]:
    """The files of a data set that `save_to_disk` wrote."""
    state = folder / "state.json"
    try:
        names = [file["filename"] for file in json.loads(state.read_bytes())["_data_files"]]
        return [folder / Path(name).name for name in names]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{state} does not say which files the saved data set has.") from error


def _near(path: Path) -> str:
    """The files beside a missing one, as far as they are few."""
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either."
    beside = [p.name for p in path.parent.iterdir() if p.is_file()][:20]
    return did_you_mean(path.name, beside, f"In {path.parent}")
