"""`export_onnx`: a checkpoint becomes a file of ONNX, checked against the model."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lightformer.data.folders import is_taken
from lightformer.errors import ConfigError, StorageError
from lightformer.loading import load
from lightformer.onnx.checking import check
from lightformer.onnx.graph import Graph
from lightformer.onnx.tracing import trace
from lightformer.tasks import Task
from lightformer.tokenizer import TOKENIZER

OPSETS = range(18, 23)
"""Older ones torch does not write; newer ones have an operator for attention, which not every runtime has."""
OPSET = 20


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        task: the model that it came from
        inputs: names of what the file takes, all (batch, length) and int64
        outputs: names of what it gives
        difference: from torch, the largest, as a share of the largest number; None where it was not run
        size: bytes of the file, and of the file of weights beside one that is very large
    """

    task: Task
    inputs: list[str]
    outputs: list[str]
    difference: float | None
    size: int


def export_onnx(
    checkpoint: str | Path, output: str | Path, *, opset: int = OPSET, checked: bool = True
) -> Exported:
    """Writes a model as a file of ONNX that takes batches of every size, with its tokenizer.json beside it.

    The file takes `input_ids` and `attention_mask`, and `token_type_ids` where the model has segments, all (batch,
    length) and int64. It gives `logits`; of an `Encoder` `hidden_states` and `pooled`; of a `BertPretraining`
    `next_sentence_logits` as well. It has no cache: to generate with it is to read all tokens at each step.

    Args:
        checkpoint: of any task, or a folder of transformers
        output: a new file
        opset: version of ONNX's operators, 18 to 22
        checked: whether it is validated and, where onnxruntime is installed, run and compared with the model

    Raises:
        ConfigError: a package is missing, or there is no such opset.
        CheckpointError: a part of the model cannot be written as ONNX, or the results differ.
        StorageError: the output is there already, or cannot be written.
    """
    if opset not in OPSETS:
        raise ConfigError(f"opset must be from {OPSETS[0]} to {OPSETS[-1]}, but is {opset}.")
    _check_packages()
    target = Path(output)
    _check_free(target)
    task = load(checkpoint)
    graph = Graph(task).eval()
    tokenizer = None if task.tokenizer is None else task.tokenizer.to_json()
    _check_tokenizer(target, tokenizer)
    program = trace(graph, opset, str(checkpoint))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise StorageError(f"{target} cannot be written ({error.strerror}).") from error
    try:
        program.save(folder / target.name)
        size = sum(path.stat().st_size for path in folder.iterdir())
        difference = check(graph, folder / target.name) if checked else None
        if tokenizer is not None:
            (folder / TOKENIZER).write_text(tokenizer, encoding="utf-8")
        _check_free(target)
        for path in sorted(folder.iterdir(), key=lambda path: path.name == target.name):
            os.replace(path, target.parent / path.name)  # the model comes last
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{target} cannot be written ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Exported(task, graph.inputs, graph.outputs, difference, size)


def _check_packages() -> None:
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"A file of ONNX is written with {' and '.join(missing)}, not installed here; run: "
            "pip install 'lightformer[onnx]'."
        )


def _check_free(target: Path) -> None:
    for path in (target, target.parent / f"{target.name}.data"):
        if is_taken(path):
            raise StorageError(f"{path} is there already; name a new file, or move it away.")


def _check_tokenizer(target: Path, tokenizer: str | None) -> None:
    """Refuses to replace the tokenizer of another model."""
    path = target.with_name(TOKENIZER)
    if tokenizer is not None and path.exists() and path.read_text(encoding="utf-8") != tokenizer:
        raise StorageError(
            f"{path} is there already, and is not the model's; name a file in another folder."
        )
