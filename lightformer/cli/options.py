"""The options of a run that belong to no class: they stand at the top of a config."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from lightformer.catalogue import source as src
from lightformer.catalogue.signatures import options

RUN_COMMANDS = ("fit", "validate", "test", "predict")
DATA_COMMANDS = ("prepare", "data show")
"""They take the config of a fit, and use its data alone."""


@dataclass(frozen=True)
class RunOption:
    """An option at the top of a config, for all of `RUN_COMMANDS` or some of them."""

    type: Any
    default: Any
    doc: str
    commands: tuple[str, ...] = RUN_COMMANDS


RUN_OPTIONS: dict[str, RunOption] = {
    "plugins": RunOption(list[str], [], "modules or files that register more parts; loaded first"),
    "output": RunOption(
        str, "predictions.jsonl", "file for the predictions, a row a line as JSON", ("predict",)
    ),
}
"""A new option is one line here: it is parsed, checked, documented and saved in config.yaml."""

SECTIONS = {
    "model": "the task to train, by name, and its options",
    "data": "the data to train on, by name, and its options",
    "trainer": "Lightning's Trainer: steps, devices, precision, logging",
}
_METHOD_DOCS = {
    "ckpt_path": "checkpoint to go on from, or to use",
    "weights_only": "whether a checkpoint may hold plain data only",
    "verbose": "whether the results are printed",
    "return_predictions": "whether the predictions are kept in memory",
}
_GIVEN = ("model", "datamodule", "dataloaders", "train_dataloaders", "val_dataloaders")


def top_level(command: str) -> dict[str, str]:
    """Returns each key at the top of a config, with what it is for."""
    command = "fit" if command in DATA_COMMANDS else command
    own = {name: option.doc for name, option in RUN_OPTIONS.items() if command in option.commands}
    seed = {"seed_everything": "seed of all randomness"}
    return {**SECTIONS, **own, **seed, **_method_options(command)}


def _method_options(command: str) -> dict[str, str]:
    """The arguments of the Trainer's method of that name, such as `ckpt_path`."""
    module = src.read("lightning.pytorch.trainer.trainer")
    trainer = module.definitions.get("Trainer") if module else None
    if module is None or not isinstance(trainer, ast.ClassDef):
        return {}
    method = next(
        (n for n in trainer.body if isinstance(n, src.Function) and n.name == command), None
    )
    found = options(module, method, keyword_only=False) if method else ()
    return {
        option.name: _METHOD_DOCS.get(option.name, option.doc)
        for option in found
        if option.name not in _GIVEN
    }
