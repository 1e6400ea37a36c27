"""From a task to a graph of ONNX, by way of torch's own exporter."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch.export import Dim

from lightformer.errors import CheckpointError
from lightformer.onnx.blame import blame
from lightformer.onnx.graph import Graph

TRACED = (2, 7)
"""The batch and the length of the example that is traced; the graph takes others as well."""


@torch.no_grad()
def trace(graph: Graph, opset: int, path: str) -> Any:
    """Returns the program, which torch can save.

    Args:
        graph: what is exported
        opset: version of ONNX's operators
        path: where the model comes from, for messages

    Raises:
        CheckpointError: a part of the model cannot be written as a graph; it is named.
    """
    batch, length = TRACED
    longest = graph.task.backbone.longest
    example = graph.example(batch, length if longest is None else min(length, longest))
    axes = {0: Dim("batch"), 1: Dim("length", max=longest)}
    graph.requires_grad_(False)  # else torch chooses kernels by which gradients pass
    try:
        with _quiet():
            program = torch.export.export(
                graph,
                tuple(example.values()),
                dynamic_shapes=((axes,) * len(example),),
                strict=False,
            )
            exported: Any = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=graph.inputs,
                output_names=graph.outputs,
                dynamic_shapes=(({0: "batch", 1: "length"},) * len(example),),
                opset_version=opset,
            )
    except Exception as error:  # of torch's exporter, which has no class for them
        raise CheckpointError(
            f"{path} cannot be written as ONNX: {blame(error, graph.task)}"
        ) from error
    for node in exported.model.graph.all_nodes():
        node.metadata_props.clear()  # where each line of code lies on this machine
    return exported


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back what torch says about its own code, and about packages that are of no use here."""
    names = ("torch.onnx", "torch.export", "torch.fx", "onnxscript")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
