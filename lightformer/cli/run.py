"""`fit`, `validate`, `test` and `predict`: help and checks first, then plugins, then Lightning."""

from __future__ import annotations

import os

from lightformer.catalogue.index import BASES, Catalogue, read_catalogue
from lightformer.cli.check import check
from lightformer.cli.command_line import CommandLine, read_command_line
from lightformer.cli.help import asks_for_help, print_help
from lightformer.errors import ConfigError
from lightformer.plugins import SWITCH, load_plugins


def run(command: str, arguments: list[str]) -> int:
    """Runs a command of Lightning's, once nothing is wrong with what was said to it."""
    if asks_for_help(arguments):
        return print_help(command, arguments)
    line, catalogue = prepare(command, arguments)
    if (
        command != "fit"
        and line.tree.get("ckpt_path") is None
        and "--print_config" not in arguments
    ):
        raise ConfigError(
            f"lightformer {command} needs a trained model; name its checkpoint with --ckpt_path FILE."
        )
    if line.folder is None:
        os.environ[SWITCH] = "0"  # for the processes that this one starts
    load_plugins(line.plugins, line.folder)

    from lightformer.cli.session import Session, fill_backbone
    from lightformer.cli.trainer_cli import as_sentences
    from lightformer.pretrained import reading_ahead

    with as_sentences(), reading_ahead():
        fill_backbone(line)
        Session([command, *line.arguments], catalogue)
    return 0


def prepare(command: str, arguments: list[str]) -> tuple[CommandLine, Catalogue]:
    """Returns the checked command line, and what there is to choose from."""
    line = read_command_line(command, arguments)
    catalogue = read_catalogue(line.plugins, line.folder)
    chosen = {key: line.tree[key]["name"] for key in BASES if "name" in (line.tree.get(key) or ())}
    task, data = (catalogue.get(key, str(chosen.get(key))) for key in BASES)
    if task is not None and data is not None:
        known = {option.name for option in data.options}
        wanted = {**data.data_defaults, **task.data_defaults}
        line.fill("data", {name: value for name, value in wanted.items() if name in known})
    check(line, catalogue)
    return line, catalogue
