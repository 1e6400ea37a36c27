"""`export-onnx`: a trained model for where there is no torch."""

from __future__ import annotations

import time

from lightformer.cli.arguments import Parser, load_given_plugins


def export(command: str, arguments: list[str]) -> int:
    """Writes a checkpoint as a file of ONNX."""
    parser = Parser(
        command,
        "Writes a model as a file of ONNX that takes batches of every size and length, and compares what it gives with "
        "what the model gives. Its tokenizer.json is written beside it.",
    )
    add = parser.add_argument
    add("checkpoint", help="the checkpoint's file, or a folder of transformers")
    add("--output", required=True, help="a new file, such as model.onnx")
    add("--opset", type=int, default=20, help="version of ONNX's operators, 18 to 22; 20")
    add("--no-check", action="store_true", help="do not validate, run and compare it")
    parser.add_plugins()
    given = parser.read(arguments)
    begin = time.perf_counter()
    load_given_plugins(given)

    from lightformer.onnx import export_onnx

    done = export_onnx(
        given.checkpoint, given.output, opset=given.opset, checked=not given.no_check
    )
    count = sum(p.numel() for p in done.task.parameters())
    print(f"{type(done.task).__name__}, {count:,} parameters, opset {given.opset}")
    print(f"from {', '.join(done.inputs)} to {', '.join(done.outputs)}")
    if done.difference is not None:
        print(f"onnxruntime differs from torch by {done.difference:.1e} at most")
    elif not given.no_check:
        print("valid, but not run: pip install onnxruntime to compare it with torch")
    seconds = time.perf_counter() - begin
    print(f"wrote {given.output}, {done.size / 1e6:.1f} MB, in {seconds:.1f} s")
    return 0
