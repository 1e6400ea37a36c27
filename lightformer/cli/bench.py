"""`lightformer bench data`: how fast text becomes batches, here and in other libraries."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from lightformer.cli.arguments import Parser
from lightformer.errors import ConfigError, did_you_mean

BENCHES = ("data",)

USAGE = """usage: lightformer bench data [OPTIONS]

  data   text to tokens to batches: speed, padding and memory, beside tokenizers, datasets and transformers

  lightformer bench data --help
"""

LEAST = 0.3
"""Megabytes that fill a batch, whatever the tokenizer."""


def bench(command: str, arguments: list[str]) -> int:
    """Measures what was asked for, and prints it."""
    if not arguments or arguments[0] in ("--help", "-h"):
        print(USAGE, end="")
        return 0
    if arguments[0] not in BENCHES:
        hint = did_you_mean(arguments[0], BENCHES, "Benches")
        raise ConfigError(f"There is no `{command} {arguments[0]}`.{hint}")
    parser = Parser(
        f"{command} data",
        "Measures the way from text to batches on generated text, and the same way by other libraries where they are "
        "installed, all in one run.",
    )
    parser.add_argument("--megabytes", type=float, default=20.0, help="size of the text")
    parser.add_argument("--repeats", type=int, default=3, help="the one in the middle counts")
    parser.add_argument(
        "--tokenizer",
        default="bpe",
        choices=["bpe", "wordpiece", "byte_level", "characters"],
        help="the tokenizer that all use",
    )
    parser.add_argument(
        "--memory",
        type=int,
        nargs="+",
        default=[],
        metavar="MEGABYTES",
        help="measure the memory of preparing texts of such sizes too, such as 100 1000; takes minutes",
    )
    given = parser.read(arguments[1:])
    if not LEAST <= given.megabytes < math.inf:
        raise ConfigError(f"--megabytes must be a number from {LEAST} on, not {given.megabytes}.")
    if given.repeats < 1:
        raise ConfigError(f"--repeats must be at least 1, not {given.repeats}.")
    if min(given.memory, default=1) < 1:
        raise ConfigError(f"--memory must be at least 1 megabyte, not {min(given.memory)}.")

    from lightformer.data.benchmark.bench import Bench
    from lightformer.tokenizer import TokenizerConfig

    with tempfile.TemporaryDirectory() as folder:
        tokenizer = TokenizerConfig(given.tokenizer)
        made = Bench(Path(folder), tokenizer, given.megabytes, given.repeats)
        for table in made.tables():
            print(table, end="\n\n", flush=True)
        if given.memory:
            print(made.memory(given.memory), flush=True)
    return 0
