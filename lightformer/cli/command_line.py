"""The command line and its config files as one tree of values, each with its place.

Nothing is judged here: `check` does that. The tree has the short form throughout, and a choice is
a mapping with its name:

    {"model": {"name": "MaskedLM", "backbone": {"norm": {"name": "rms_norm"}}}}
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightformer.cli.document import Document, Path_, parse_value, read_document
from lightformer.cli.short_form import choice_of, expand, shorten
from lightformer.errors import CheckpointError, ConfigError
from lightformer.paths import existing_checkpoint
from lightformer.plugins import FOLDER, SWITCH

NO_LOCAL = "--no-local-plugins"
LIVE = ("best", "last", "hpc")
"""What Lightning takes as a checkpoint in place of a path, and knows only within one process."""


@dataclass
class CommandLine:
    """A command with all that was said to it.

    Args:
        command: fit, validate, test or predict
        tree: every value, later ones over earlier ones
        places: where each value was given: `file:line`, or the option
        plugins: modules and files to load
        folder: folder of local plugins; None where they are off
        arguments: what is handed on to jsonargparse
    """

    command: str
    tree: dict[str, Any] = field(default_factory=dict)
    places: dict[Path_, str] = field(default_factory=dict)
    plugins: list[str] = field(default_factory=list)
    folder: str | None = FOLDER
    arguments: list[str] = field(default_factory=list)
    _nameless: set[Path_] = field(default_factory=set)

    def place(self, path: Path_) -> str:
        """Returns where a value, something inside it, or what it stands in, was given."""
        inside = [p for p in self.places if path and p[: len(path)] == path]
        outside = [path[:n] for n in range(len(path), 0, -1) if path[:n] in self.places]
        nearest = path if path in self.places else next(iter(inside + outside), None)
        return f"lightformer {self.command}" if nearest is None else self.places[nearest]

    def put(self, key: str, value: Any) -> None:
        """Takes in one dotted option of the command line."""
        path = _short_path(tuple(key.removeprefix("--").removesuffix("+").split(".")))
        self.places = {p: v for p, v in self.places.items() if p[: len(path)] != path}
        self.places[path] = f"--{key.removeprefix('--')}"
        if path[-1] == "name":
            path, value = path[:-1], {"name": value}
        self._take(_nest(path, canonical(value, path[-1])))

    def fill(self, section: str, defaults: dict[str, Any]) -> None:
        """Gives options of a section that the user leaves open the values of `defaults`.

        A default comes before what the user says, so that it can be given options without its name.
        """
        values = self.tree[section]
        before = {}
        for key, default in defaults.items():
            given = values.get(key)
            if key in values and given is None:
                self.arguments.append(f"--{section}.{key}={_text(default)}")
            elif key not in values or (section, key) in self._nameless:
                before[key] = default
            own = canonical(default, key)
            if isinstance(given, dict) and isinstance(own, dict):
                values[key] = {**own, **given}
            elif given is None:
                values[key] = own
        if before:
            long = expand({"name": values["name"], **before}, section)
            self.arguments.insert(0, f"--{section}={json.dumps(long)}")

    def add(self, document: Document) -> None:
        """Takes in a config file."""
        values = {key: canonical(value, key) for key, value in document.values.items()}
        for path, line in document.lines.items():
            self.places[_short_path(path)] = f"{document.file}:{line}"
        self.plugins += plugin_names(values.pop("plugins", None))
        self._take(values)

    def _take(self, values: dict[str, Any]) -> None:
        _merge(self.tree, values)
        for section, options in self.tree.items():
            for key, value in options.items() if isinstance(options, dict) else ():
                if isinstance(value, dict) and "name" not in value:
                    self._nameless.add((section, key))


def read_command_line(command: str, arguments: list[str]) -> CommandLine:
    """Reads all options and config files.

    Raises:
        ConfigError: an option or a file cannot be read.
        CheckpointError: a checkpoint does not exist, or nothing says how it was made.
    """
    line = CommandLine(command, folder=None if os.environ.get(SWITCH) == "0" else FOLDER)
    given = split(arguments)
    for words in [*_from_checkpoint(command, given), *given]:
        option, value = words[0], words[1] if len(words) > 1 else None
        if option == NO_LOCAL:
            line.folder = None
            continue
        if option == "--plugins":
            line.plugins += plugin_names(parse_value(value or ""))
            continue
        line.arguments += words if value is None else [f"{option}={value}"]
        if value is None or option.startswith("--print_config"):
            continue
        if option == "--config":
            line.add(read_document(value))
        elif option in ("--model", "--data", "--trainer") and value.endswith((".yaml", ".yml")):
            line.add(_under(option.removeprefix("--"), read_document(value)))
        else:
            line.put(option, parse_value(value))
    line.plugins = list(dict.fromkeys(line.plugins))
    if line.plugins:
        line.arguments.append(f"--plugins={json.dumps(line.plugins)}")
    return line


def split(arguments: list[str]) -> list[list[str]]:
    """Returns the options, each with its value where it has one.

    Raises:
        ConfigError: a word is neither an option nor the value of one.
    """
    found: list[list[str]] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "--":
            raise ConfigError(
                f"{word!r} is not an option; write --KEY VALUE, such as --config FILE.yaml "
                f"or --trainer.max_steps 100."
            )
        option, equals, value = word.partition("=")
        option = {"-c": "--config", "-h": "--help"}.get(option, option)
        if equals:
            found.append([option, value])
        elif words and not words[0].startswith("--") and option != NO_LOCAL:
            found.append([option, words.pop(0)])
        else:
            found.append([option])
    return found


def plugin_names(value: Any) -> list[str]:
    """Returns the plugins of `a,b` or of `[a, b]`.

    Raises:
        ConfigError: it is neither text nor a list of texts.
    """
    if value is None or value == "":
        return []
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"plugins must be a list of modules and files, but is {value!r}.")
    return [name.strip() for name in names]


def _from_checkpoint(command: str, given: list[list[str]]) -> list[list[str]]:
    """What the run of a checkpoint was made of, where the user gives a checkpoint and no config."""
    values = {words[0]: words[1] for words in given if len(words) > 1}
    checkpoint = values.get("--ckpt_path")
    if checkpoint in LIVE:
        raise ConfigError(
            f"--ckpt_path must be a file, but is {checkpoint!r}; name one, such as "
            f"runs/mlm/version_0/checkpoints/{checkpoint}.ckpt."
        )
    if checkpoint is None or checkpoint == "null" or "://" in checkpoint:
        return []
    existing_checkpoint(checkpoint)
    if "--config" in values or ("--model" in values and "--data" in values):
        return []
    config = Path(checkpoint).resolve().parent.parent / "config.yaml"
    if not config.is_file():
        raise CheckpointError(
            f"{checkpoint} has no config.yaml in the folder above its own, so its model and data "
            f"are not known; name a config with --config."
        )
    document = read_document(str(config))
    _refuse_plugins(
        plugin_names(document.values.get("plugins")), plugin_names(values.get("--plugins")), config
    )
    if command == "fit":
        return [["--config", str(config)]]
    wanted = [(key, document.values[key]) for key in ("model", "data") if key in document.values]
    return [[f"--{key}", json.dumps(expand(value, key))] for key, value in wanted if value]


def _refuse_plugins(named: list[str], given: list[str], config: Path) -> None:
    """Plugins are code: those that only the folder of a checkpoint names are not run unasked."""
    local = {f"{FOLDER}/{path.name}" for path in Path(FOLDER).glob("*.py")}
    missing = [name for name in named if name not in (*given, *local)]
    if missing:
        raise CheckpointError(
            f"{config} names plugins that you did not: {', '.join(missing)}; if you trust them, add "
            f"--plugins {','.join(missing)}."
        )


def _under(key: str, document: Document) -> Document:
    """A config file that holds what stands under one key."""
    lines = {(key, *path): line for path, line in document.lines.items()}
    return Document({key: document.values}, lines, document.file)


def canonical(value: Any, key: str) -> Any:
    """Returns the short form of what stands under `key`, in which a choice is always a mapping."""
    value = shorten(value, key)
    if isinstance(value, list):
        return [canonical(item, key) for item in value]
    if choice_of(key) and isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict):
        return value
    if choice_of(key) and isinstance(value.get("init_args"), dict):
        value = {**{k: v for k, v in value.items() if k != "init_args"}, **value["init_args"]}
    return {k: canonical(v, k) for k, v in value.items()}


def _short_path(path: Path_) -> Path_:
    inside = bool(path) and path[0] != "trainer"
    return (
        tuple("name" if k == "class_path" else k for k in path if k != "init_args")
        if inside
        else path
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _nest(path: Path_, value: Any) -> dict[str, Any]:
    for key in reversed(path[1:]):
        value = {key: value}
    return {path[0]: value}


def _merge(tree: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in values.items():
        old = tree.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and not _switches(old, value):
            _merge(old, value)
        else:
            tree[key] = value


def _switches(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether another part is chosen, to which the options of the old one say nothing."""
    return "name" in new and "name" in old and new["name"] != old["name"]
