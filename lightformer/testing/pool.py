"""Work shared out to processes, which end when the user says so."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import TypeVar

import torch

from lightformer.plugins import load_plugins

T = TypeVar("T")
R = TypeVar("R")


def in_processes(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    processes: int,
    plugins: Iterable[str] = (),
    folder: str | None = None,
) -> Iterator[R]:
    """Yields what a function makes of each item, in their order.

    Args:
        function: of a module, so that another process finds it
        items: what it is given
        processes: how many work at a time; with 1 it is done here
        plugins: modules and files that a process must load, see `load_plugins`
        folder: folder of local plugins that it must load
    """
    if processes == 1:
        yield from map(function, items)
        return
    before = set(active_children())
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _start, (list(plugins), folder))
    try:
        with _deaf():
            results = pool.map(function, items, chunksize=max(1, min(8, len(items) // 64)))
        yield from results
    except BaseException:  # Ctrl-C among them: what is under way is not waited for
        for child in set(active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Holds Ctrl-C back while processes start: they inherit it, and import much before they can ignore a signal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(plugins: list[str], folder: str | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    Thread(target=_end_with_the_first, daemon=True).start()
    torch.set_num_threads(1)
    with contextlib.redirect_stderr(io.StringIO()):  # which plugins there are has been said
        load_plugins(plugins, folder)


def _end_with_the_first() -> None:
    first = parent_process()
    if first is not None:
        first.join()
        os._exit(1)
