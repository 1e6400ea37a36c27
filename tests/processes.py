"""How tests start a process that they mean to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from typing import Any


def start(*words: Any, **options: Any) -> subprocess.Popen[str]:
    """Starts Python so that Ctrl-C reaches it: who runs the tests behind `&` ignores it, and so would a child.

    Args:
        words: of the command line, after `python`
        options: of `subprocess.Popen`
    """
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        **options,
    )
