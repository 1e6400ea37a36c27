"""Processes that work for this one: what they answer, and what is said of one that is gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from lightformer.data.store.workers import workers

LARGE = 3_000_000
"""Bytes, of which no pipe holds all at once."""


class Unsendable(Exception):
    """An error that cannot be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("not this one")


class Unreceivable:
    """A task for which there is no memory."""

    def __reduce__(self) -> Any:
        return _no_memory, ()


def _no_memory() -> None:
    raise MemoryError


def _work(task: Any) -> Any:
    if task == "error":
        raise ValueError("what was wrong")
    if task == "unsendable error":
        raise Unsendable("what was wrong")
    if task == "unsendable":
        return lambda: None
    if isinstance(task, Path):
        task.with_suffix(".begun").touch()
        _wait_for(task)
        return task.name
    return task if isinstance(task, bytes) else b"x" * LARGE


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def _in_time(call: Callable[[], object]) -> bool:
    """Whether a call ends; where it waits for something that does not come, the test goes on without it."""
    thread = Thread(target=call, daemon=True)
    thread.start()
    thread.join(30)
    return not thread.is_alive()


def test_answers_come_in_order_and_errors_are_raised() -> None:
    with workers(2, _work) as (first, second):
        for task in (b"a", b"b", "error", b"c"):
            first.send(task)
        second.send(b"d")
        assert first.receive() == b"a"
        assert second.receive() == b"d"
        assert first.receive() == b"b"
        with pytest.raises(ValueError, match=r"^what was wrong$"):
            first.receive()
        assert first.receive() == b"c"


@pytest.mark.parametrize(
    ("task", "reason"),
    [("unsendable error", r"^Unsendable\('what was wrong'\)$"), ("unsendable", "lambda")],
)
def test_what_cannot_be_sent_is_told(task: str, reason: str) -> None:
    with workers(1, _work) as (worker,):
        worker.send(task)
        with pytest.raises(Exception, match=reason) as raised:
            worker.receive()
        assert not isinstance(raised.value, ChildProcessError)
        worker.send(b"on")
        assert worker.receive() == b"on"


def test_a_worker_takes_a_task_while_it_works_and_gives_an_answer_meanwhile(tmp_path: Path) -> None:
    with workers(1, _work) as (worker,):
        worker.send("large")
        worker.send(tmp_path / "go")
        assert _in_time(lambda: worker.send(b"y" * LARGE))  # it is at work, and takes this
        assert _in_time(lambda: _wait_for(tmp_path / "go.begun"))  # no one has asked for its answer
        assert len(worker.receive()) == LARGE
        (tmp_path / "go").touch()
        assert worker.receive() == "go"
        assert worker.receive() == b"y" * LARGE


@pytest.mark.parametrize("wait", [0.0, 1.0], ids=["at work", "while it gives its answer"])
def test_a_worker_that_was_killed(wait: float, tmp_path: Path) -> None:
    with workers(1, _work) as (worker,):
        worker.send("large" if wait else tmp_path / "never")
        time.sleep(wait)  # half of the answer is on its way then
        os.kill(worker._process.pid or 0, signal.SIGKILL)
        with pytest.raises(ChildProcessError):
            worker.receive()


def test_a_task_for_which_there_is_no_memory() -> None:
    with workers(1, _work) as (worker,):
        worker.send(Unreceivable())
        found: list[BaseException] = []

        def receive() -> None:
            try:
                worker.receive()
            except BaseException as error:
                found.append(error)

        assert _in_time(receive)
        assert isinstance(found[0], ChildProcessError)
