"""How much memory the preparing of text takes, asked of a process of its own and its children."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lightformer.errors import ConfigError, DataError

_CODE = """
import sys
from lightformer.data import TextFiles
from lightformer.tokenizer import TokenizerConfig
corpus, tokenizer, folder = sys.argv[1:]
data = TextFiles(train=corpus, tokenizer=TokenizerConfig(file=tokenizer), cache_dir=folder)
data.prepare_data()
"""


def peak_megabytes(corpus: Path, tokenizer: Path, folder: Path) -> float:
    """Returns the most memory that preparing a corpus held at a time.

    What processes share is counted once, and so are the pages of files that they map.

    Raises:
        ConfigError: the system does not tell.
        DataError: it was not prepared.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        raise ConfigError("--memory needs /proc/self/smaps_rollup, which only Linux has.")
    command = [sys.executable, "-c", _CODE, str(corpus), str(tokenizer), str(folder)]
    peak = 0
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stderr=errors) as process,
    ):
        while process.poll() is None:
            peak = max(peak, sum(map(_kilobytes, _family(process.pid))))
            time.sleep(0.02)
        errors.seek(0)
        said = " ".join(errors.read().split())[-300:]
    if process.returncode:
        raise DataError(f"{corpus} was not prepared: {said}")
    return peak / 1000


def _family(pid: int) -> list[int]:
    """A process and all that come from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended meanwhile
            continue
        children.setdefault(int(parent), []).append(int(stat.parent.name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def _kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
