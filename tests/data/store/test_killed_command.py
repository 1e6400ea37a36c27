"""`lightformer prepare`, killed at any moment, goes on where it was, and leaves what an undisturbed one leaves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import sentences
from killing import alive, begin, contents, killed

from lightformer.cli.main import main
from lightformer.data.store import write_store

WORDS = "prepare --data TextFiles --data.train a.txt --data.tokenizer.vocab_size 311".split()
SHARD = 20_011
READY = f"""
import sys
import lightformer.data
from lightformer.cli.main import main
lightformer.data.store.write_store.__kwdefaults__["shard"] = {SHARD}
print("ready", flush=True)
sys.exit(main())
"""


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What an undisturbed command leaves; the same text lies in the folder where the others work."""
    monkeypatch.setitem(write_store.__kwdefaults__, "shard", SHARD)
    for name in ("whole", "work"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(sentences(30_011, 0))
    monkeypatch.chdir(tmp_path / "whole")
    assert main(WORDS) == 0
    found = left()
    monkeypatch.chdir(tmp_path / "work")
    return found


def left() -> dict[str, object]:
    """All that is in the cache, by its path."""
    cache = Path("data/cache")
    folders = [path for kind in ("tokenizers", "tokens") for path in (cache / kind).iterdir()]
    found: dict[str, object] = {str(path): contents(path) for path in folders}
    assert len(found) == 2
    return found


def forked() -> int:
    return begin(lambda: os._exit(main(WORDS)))


def started() -> int:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", READY, *WORDS]
    process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process.pid


@pytest.mark.parametrize(
    ("start", "kills"), [(forked, 7), pytest.param(started, 20, marks=pytest.mark.slow)]
)
def test_at_random_moments(whole: dict[str, object], start: Callable[[], int], kills: int) -> None:
    draw, done, moments = random.Random(11), 0, set()
    while done < kills:
        child = start()
        if done % 2:
            wait_for_tokens(child)
        if done > 1:  # the first two at once: before there are tokens, and when there are
            time.sleep(draw.uniform(0.0, 0.7))
        os.kill(child, signal.SIGKILL)
        if killed(child):
            done += 1
            moments.add(moment())
        else:
            assert left() == whole
            Path("data/cache").rename(f"finished-{done}-{len(list(Path().iterdir()))}")
    assert "writes" in moments
    assert moments != {"writes"}
    assert main(WORDS) == 0
    assert left() == whole
    assert not list(Path().glob("data/**/.*"))


def wait_for_tokens(child: int) -> None:
    """Waits until a process begins to write tokens, or ends."""
    while moment() != "writes" and alive(child):
        time.sleep(0.01)


def moment() -> str:
    """What a command was at when it was killed."""
    if list(Path("data/cache").glob("tokens/.*")):
        return "writes"
    return "trains" if list(Path("data/cache").glob("tokenizers/.*")) else "begins"
