"""Ctrl-C ends what runs in several processes at once, and leaves none of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.processes import start


@pytest.mark.parametrize("command", ["matrix", "probe"])
def test_ctrl_c_ends_all_processes(command: str, tmp_path: Path) -> None:
    words = ("-m", "lightformer", "plugins", command)
    process = start(*words, cwd=tmp_path, start_new_session=True)
    time.sleep(8)  # its processes have started
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
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
