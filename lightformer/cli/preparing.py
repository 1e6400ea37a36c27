"""`lightformer prepare`: everything that a first fit does to the text, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightformer.catalogue.index import Catalogue
from lightformer.cli.command_line import CommandLine
from lightformer.cli.help import asks_for_help, print_data_help
from lightformer.cli.run import prepare
from lightformer.cli.short_form import expand
from lightformer.plugins import SWITCH, load_plugins

if TYPE_CHECKING:
    from lightformer.data import DataModule

USAGE = """usage: lightformer prepare [--config FILE.yaml ...] [--data.KEY VALUE ...]

Trains the tokenizer, where there is none yet, and writes every split as tokens, on all cores. It takes the config of a
fit and reads its `data`. Stopped or killed, the same command goes on where it was; a fit does the same by itself.
"""


def prepare_text(command: str, arguments: list[str]) -> int:
    """Prepares the data of a config, and prints what is there."""
    if asks_for_help(arguments):
        return print_data_help(USAGE, arguments)
    with_data(command, arguments, _prepare)
    return 0


def _prepare(data: DataModule) -> None:
    from lightformer.data.store import read_meta

    data.prepare_data()
    tokenizer = data.tokenizer
    print(f"tokenizer: {len(tokenizer):,} tokens, {tokenizer.fingerprint}")
    for name, folder in data.stores.items():
        print(f"{name}: {describe(read_meta(folder))} in {folder}")


def describe(meta: dict[str, Any]) -> str:
    """Returns the counts of a store, in words."""
    text = f"{meta['documents']:,} documents, {meta['tokens']:,} tokens"
    rows = meta["skipped"]["rows"]
    return f"{text}, {rows:,} rows skipped" if rows else text


def with_data(command: str, arguments: list[str], use: Callable[[DataModule], None]) -> None:
    """Builds the data module that a command line names, and hands it over.

    Raises:
        LightformerError: something is wrong with the command line, or with the data.
    """
    line, catalogue = prepare(command, arguments)
    if line.folder is None:
        os.environ[SWITCH] = "0"
    load_plugins(line.plugins, line.folder)

    from lightformer.cli.trainer_cli import as_sentences

    with as_sentences():
        use(_build(line, catalogue))


def _build(line: CommandLine, catalogue: Catalogue) -> DataModule:
    from lightformer.cli.session import tokenizer_of
    from lightformer.cli.trainer_cli import Parser, know
    from lightformer.data import DataModule
    from lightformer.pretrained import Pretrained

    know(catalogue)
    chosen = dict(line.tree["data"])
    if start := (line.tree.get("model") or {}).get("init_from"):
        given = (chosen.get("tokenizer") or {}).get("file")
        chosen["tokenizer"] = {"file": tokenizer_of(Pretrained(str(start)), given)}
    parser = Parser()
    parser.add_lightning_class_args(DataModule, "data", subclass_mode=True)
    config = parser.parse_object({"data": expand(chosen, "data")})
    return parser.instantiate(config).data
