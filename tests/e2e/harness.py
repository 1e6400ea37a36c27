"""How the end-to-end tests run lightformer: here, or in a process of its own."""

from __future__ import annotations

import contextlib
import io
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import lightformer
from lightformer import importing, plugins
from lightformer.cli.main import main
from tests import processes

ROOT = Path(lightformer.__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
TINY = """
    --model.backbone.hidden_size 24 --model.backbone.num_layers 2 --data.tokenizer.vocab_size 601 --data.batch_size 6
    --trainer.limit_val_batches 2 --trainer.limit_test_batches 2 --trainer.limit_predict_batches 2
    --trainer.num_sanity_val_steps 0 --trainer.enable_model_summary false --trainer.log_every_n_steps 1
""".split()
Bits = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The last line of standard error, which is the sentence of a mistake."""
        return (self.err.strip().splitlines() or [""])[-1]


def here(*words: Any, cwd: Path) -> Done:
    """Runs a command in this process, which saves the seconds of the imports."""
    out, err = io.StringIO(), io.StringIO()
    with _inside(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Done(code, out.getvalue(), err.getvalue())


def start(*words: Any, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Starts a command in a process of its own."""
    return processes.start("-m", "lightformer", *words, cwd=cwd, env={**os.environ, **environment})


def finish(process: subprocess.Popen[str], timeout: float = 120.0) -> Done:
    """Waits for a command to end, so many seconds at most."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return Done(process.returncode, out, err)


def apart(*words: Any, cwd: Path, timeout: float = 120.0, **environment: str) -> Done:
    """Runs a command in a process of its own."""
    return finish(start(*words, cwd=cwd, **environment), timeout)


def python(code: str, *arguments: Any, cwd: Path, **environment: str) -> Done:
    """Runs Python code in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run_folder(done: Done, cwd: Path) -> Path:
    """The folder of the run that a `fit` made."""
    assert done.code == 0, done.err
    return cwd / done.out.splitlines()[0].removeprefix("run: ")


def bits(checkpoint: Path) -> Bits:
    """The weights of a checkpoint and what the optimizer keeps of them, read as data alone."""
    read = torch.load(checkpoint, weights_only=True)
    moments = read["optimizer_states"][0]["state"]
    kept = {f"{i} {k}": v for i, m in moments.items() for k, v in m.items()}
    return {**read["state_dict"], **kept}


def same_bits(one: Bits, two: Bits) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def events(run: Path) -> EventAccumulator:
    """What a run wrote for TensorBoard."""
    found = EventAccumulator(str(run), size_guidance={"tensors": 0, "scalars": 0})
    found.Reload()
    return found


def scalars(run: Path, name: str) -> list[float]:
    """The values of a scalar, one a step."""
    values = {event.step: event.value for event in events(run).Scalars(name)}
    assert all(map(math.isfinite, values.values()))
    return list(values.values())


def saved_by(checkpoint: Path, path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Writes a checkpoint anew, with a change to what it holds."""
    content = torch.load(checkpoint, weights_only=True)
    torch.save(change(content) or content, path)
    return path


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before, path, environment = Path.cwd(), list(sys.path), dict(os.environ)
    os.chdir(folder)
    _forget_plugins()  # a new process knows none
    try:
        yield
    finally:
        _forget_plugins()
        os.chdir(before)
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environment)


def _forget_plugins() -> None:
    plugins._loaded.clear()
    importing._imported.clear()
    for name in [name for name in sys.modules if name.split(".")[0] == importing.PACKAGE]:
        del sys.modules[name]
