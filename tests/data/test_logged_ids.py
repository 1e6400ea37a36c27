"""The numbers of the samples that real runs see: by one rank, by two, and over three restarts."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import logged
import pytest
from corpora import sentences

STEPS = 40


def seen(folder: Path, order: str, runs: list[tuple[int, int, int]]) -> dict[int, list[int]]:
    """Returns the samples of each step, by all ranks, of runs with (ranks, workers, steps), each of which goes on."""
    folder.mkdir()
    rows = [json.dumps({"text": sentences(1 + number % 9, number)}) for number in range(499)]
    (folder / "text.jsonl").write_text("\n".join(rows))
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
    for run in runs:
        done = subprocess.run(
            [sys.executable, logged.__file__, str(folder), order, *map(str, run)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    found: dict[int, list[int]] = defaultdict(list)
    for file in folder.glob("ids-*.jsonl"):
        for line in file.read_text().splitlines():
            step, ids = json.loads(line)
            found[step] += ids
    return {step: sorted(ids) for step, ids in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("order", logged.ORDERS)
def test_ranks_workers_and_restarts_change_no_sample(order: str, tmp_path: Path) -> None:
    one = seen(tmp_path / "one", order, [(1, 0, STEPS)])
    assert sorted(one) == list(range(1, STEPS + 1))
    assert len({number for ids in one.values() for number in ids}) > 90
    assert seen(tmp_path / "two", order, [(2, 0, STEPS)]) == one
    first, second, third = sorted(random.Random(order).sample(range(2, STEPS), 3))
    runs = [(1, 0, first), (2, 2, second), (1, 2, third), (2, 0, STEPS)]
    assert seen(tmp_path / "restarted", order, runs) == one
    samples = sum(map(len, one.values()))
    print(f"{order}: {samples} samples in {STEPS} steps, restarts at {first}, {second}, {third}")
