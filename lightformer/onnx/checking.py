"""Whether a file of ONNX gives what the model gives."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lightformer.errors import CheckpointError
from lightformer.onnx.graph import Batch, Graph

if TYPE_CHECKING:
    import onnxruntime

TOLERANCE = 1e-4
"""The largest difference, as a share of the largest number."""
SIZES = ((1, 1), (3, 131))
"""Batch and length of the examples; other ones than that which is traced."""


def check(graph: Graph, file: Path) -> float | None:
    """Returns by how much the file's results differ from the model's; None without onnxruntime to run it.

    Args:
        graph: what was exported
        file: what came of it

    Raises:
        CheckpointError: the file is not valid, or its results differ.
    """
    import onnx

    try:
        onnx.checker.check_model(str(file), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CheckpointError(f"The file is no valid ONNX: {error}") from error
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    longest = graph.task.backbone.longest
    sizes = [(b, n if longest is None else min(n, longest)) for b, n in SIZES]
    try:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        found = [difference(graph, session, graph.example(*size)) for size in sizes]
    except Exception as error:  # onnxruntime's have no class in common
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"onnxruntime cannot run what was made: {reason}") from error
    worst = _largest(found)
    if not worst <= TOLERANCE:
        raise CheckpointError(
            f"The results of onnxruntime must not differ from those of torch by more than {TOLERANCE:g}, but they do "
            f"by {worst:.2g}, and no file was written; choose another attention or position, or another opset."
        )
    return worst


@torch.no_grad()
def difference(graph: Graph, session: onnxruntime.InferenceSession, inputs: Batch) -> float:
    """Returns the largest difference between both results, as a share of the largest number; padding is left out.

    Args:
        graph: what was exported
        session: of onnxruntime, with the file
        inputs: for both
    """
    arrays = {name: value.numpy() for name, value in inputs.items()}
    is_token = inputs["attention_mask"].bool()
    shares = []
    for ours, array in zip(graph(*inputs.values()), session.run(None, arrays), strict=True):
        theirs: Tensor = torch.from_numpy(array)
        if ours.shape != theirs.shape:
            return float("inf")
        if ours.ndim == 3:  # (batch, length, ...): what stands at padding means nothing
            ours, theirs = ours[is_token], theirs[is_token]
        shares.append(float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-30)))
    return _largest(shares)


def _largest(numbers: list[float]) -> float:
    """Of all numbers, and of what is none, which is the largest."""
    return max(numbers, key=lambda number: (number != number, number))
