"""Whatever ends a command that runs in several processes ends all of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.processes import start


@pytest.mark.parametrize(
    ("command", "end", "code"),
    [
        ("matrix", signal.SIGINT, 130),
        ("probe", signal.SIGINT, 130),
        ("matrix", signal.SIGTERM, -signal.SIGTERM),
        ("matrix", signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_all_processes_end(command: str, end: signal.Signals, code: int, tmp_path: Path) -> None:
    words = ("-m", "lightformer", "plugins", command)
    process = start(*words, cwd=tmp_path, start_new_session=True)
    time.sleep(8)  # its processes have started
    (os.killpg if end == signal.SIGINT else os.kill)(process.pid, end)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in out + err
    assert _is_gone(process.pid)


def _is_gone(group: int) -> bool:
    """Whether no process of a group is left, or only for a moment."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
