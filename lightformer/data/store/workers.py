"""Processes that work for this one, and end with it, whatever ends it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_SWITCH = "TOKENIZERS_PARALLELISM"
_PROTOCOL = pickle.HIGHEST_PROTOCOL

_TURN = 1e-4
"""Seconds after which a thread of a worker lets another one on: who sends to a worker waits for the one that takes."""


class Worker(Generic[Task, Result]):
    """A process that does one task after the other.

    It is forked, since what it needs is there then, and a program of the user's need not be able to start twice.

    Args:
        work: what it does with a task
    """

    def __init__(self, work: Callable[[Task], Result]) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        fork = multiprocessing.get_context("fork")
        self._process = fork.Process(target=_serve, args=(work, theirs, self._pipe), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, task: Task) -> None:
        """Gives it a task; it takes it at once, though it may be at work.

        Raises:
            ChildProcessError: it was killed.
        """
        try:
            self._pipe.send(task)
        except OSError as error:
            raise ChildProcessError(self._process.pid) from error

    def receive(self) -> Result:
        """Waits for the result of the oldest task.

        Raises:
            ChildProcessError: it was killed.
        """
        try:
            result, error = self._pipe.recv()
        except (EOFError, OSError) as gone:
            raise ChildProcessError(self._process.pid) from gone
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        """Ends it, whatever it does."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


@contextmanager
def workers(count: int, work: Callable[[Task], Result]) -> Iterator[list[Worker[Task, Result]]]:
    """Gives processes, each of which encodes with one thread."""
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "false"  # this process encodes nothing meanwhile
    found: list[Worker[Task, Result]] = []
    try:
        found += (Worker(work) for _ in range(count))
        yield found
    finally:
        for worker in found:
            worker.end()
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before


def _serve(work: Callable[[Task], Result], pipe: Connection, other: Connection) -> None:
    """Works until the pipe ends, which it does with the process on its other end.

    It takes the next task and gives the last answer meanwhile, so that neither end waits for the other. Ctrl-C is for
    that process, which ends this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    other.close()
    gc.freeze()  # what was there before this process is not its to look through
    sys.setswitchinterval(_TURN)
    tasks: SimpleQueue[Task] = SimpleQueue()
    answers: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_take, args=(pipe, tasks), daemon=True).start()
    Thread(target=_give, args=(pipe, answers), daemon=True).start()
    while True:
        answers.put(_answer(work, tasks.get()))


def _answer(work: Callable[[Task], Result], task: Task) -> bytes:
    """Returns the result of a task, or its error, as it is sent."""
    try:
        return pickle.dumps((work(task), None), _PROTOCOL)
    except Exception as error:
        try:
            return pickle.dumps((None, error), _PROTOCOL)
        except Exception:  # an error that cannot be sent
            return pickle.dumps((None, RuntimeError(repr(error))), _PROTOCOL)


def _take(pipe: Connection, tasks: SimpleQueue[Task]) -> None:
    while True:
        try:
            tasks.put(pipe.recv())
        except Exception as error:  # the other end is gone, or it will see that this one is
            os._exit(0 if isinstance(error, EOFError) else 1)


def _give(pipe: Connection, answers: SimpleQueue[bytes]) -> None:
    while True:
        try:
            pipe.send_bytes(answers.get())
        except Exception:
            os._exit(1)
