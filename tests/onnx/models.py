"""Small trained-like models, their checkpoints, and what a file of ONNX makes of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightformer import BackboneConfig
from lightformer.tasks import Task
from lightformer.vocabulary import Vocabulary
from tests.variants import HEAD_DIM, HEADS, HIDDEN, INNER, LAYERS, LONGEST, VOCAB, enlarge

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-4
SIZES = [(1, 1), (3, 5), (2, LONGEST)]
"""Batch and length; what is traced is none of them."""


def model(task: type[Task], *, options: dict[str, Any] | None = None, **parts: Any) -> Any:
    """Returns a task with weights large enough for mistakes to show.

    Args:
        task: its class
        options: of the task
        parts: of the backbone
    """
    sizes = {
        "hidden_size": HIDDEN,
        "num_heads": HEADS,
        "head_dim": HEAD_DIM,
        "intermediate_size": INNER,
        "num_layers": LAYERS,
        "max_seq_len": LONGEST,
    }
    vocabulary = Vocabulary(size=VOCAB, labels=("bad", "so-so", "good"))
    backbone = BackboneConfig(**{**sizes, **parts})
    return enlarge(task(vocabulary=vocabulary, backbone=backbone, **(options or {}))).eval()


def checkpoint(task: Any, folder: Path) -> Path:
    """Writes a task as Lightning would at the end of a fit."""
    content = {"state_dict": task.state_dict(), "hyper_parameters": dict(task.hparams)}
    task.on_save_checkpoint(content)
    torch.save(content, folder / "model.ckpt")
    return folder / "model.ckpt"


def batch(rows: int, length: int, padding: str, *, segments: bool = False) -> dict[str, Tensor]:
    """Returns tokens by chance; all rows but the first have padding on one side, if any."""
    is_token = torch.ones(rows, length, dtype=torch.bool)
    hidden = length // 2
    if hidden and padding != "none":
        is_token[1:, slice(hidden) if padding == "left" else slice(length - hidden, None)] = False
    found = {"input_ids": torch.randint(VOCAB, (rows, length)), "attention_mask": is_token}
    if segments:
        found["token_type_ids"] = torch.randint(2, (rows, length))
    return found


def session(file: Path) -> Any:
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def run(file: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns what a session makes of a batch, by name."""
    names = [output.name for output in file.get_outputs()]
    found = file.run(None, {name: value.long().numpy() for name, value in inputs.items()})
    return {name: torch.from_numpy(value) for name, value in zip(names, found, strict=True)}


def agree(found: Tensor, expected: Tensor, is_token: Tensor | None = None) -> None:
    """Compares two results, of each token or of each row; what stands at padding means nothing."""
    assert found.shape == expected.shape
    if is_token is not None:
        found, expected = found[is_token], expected[is_token]
    assert (found - expected).abs().max() <= TOLERANCE * expected.abs().max()
    assert expected.abs().max() > 0.01
