"""`import-hf` and `export-hf`: models of the `transformers` library, taken in and given out."""

from __future__ import annotations

import time

from lightformer.cli.arguments import Parser, load_given_plugins


def take(command: str, arguments: list[str]) -> int:
    """Makes a checkpoint of a folder of transformers."""
    parser = Parser(
        command,
        "Makes a checkpoint of a folder of transformers (config.json, safetensors, tokenizer.json). The library itself "
        "is not needed. `fit --model.init_from FOLDER` and lightformer.load take such a folder as it is, too.",
    )
    parser.add_argument("folder", help="with config.json and model.safetensors")
    parser.add_argument("--output", required=True, help="a new folder for the checkpoint")
    given = parser.read(arguments)
    begin = time.perf_counter()

    from lightformer.exchange import CHECKPOINT, import_hf, sizes

    task = import_hf(given.folder, given.output)
    count = sum(p.numel() for p in task.parameters())
    size = sum(sizes(given.output).values())
    print(f"{type(task).__name__}, {count:,} parameters")
    print(
        f"wrote {given.output}/{CHECKPOINT}, {size / 1e6:.1f} MB, in {time.perf_counter() - begin:.1f} s"
    )
    if task.tokenizer is None:
        print("no tokenizer.json was there: set data.tokenizer.file where the model is trained on")
    return 0


def give(command: str, arguments: list[str]) -> int:
    """Makes a folder of transformers of a checkpoint."""
    parser = Parser(command, "Makes a folder that from_pretrained of transformers loads.")
    parser.add_argument("checkpoint", help="the checkpoint's file")
    parser.add_argument("--output", required=True, help="a new folder")
    parser.add_argument(
        "--family",
        help="such as bert or llama; by default the one that it came from, or the first that fits",
    )
    parser.add_plugins()
    given = parser.read(arguments)
    begin = time.perf_counter()
    load_given_plugins(given)

    from lightformer.exchange import export_hf, sizes

    folder = export_hf(given.checkpoint, given.output, given.family)
    size = sum(sizes(given.output).values())
    print(f"{folder.architecture}, {len(folder.tensors)} tensors")
    print(f"wrote {given.output}, {size / 1e6:.1f} MB, in {time.perf_counter() - begin:.1f} s")
    return 0
