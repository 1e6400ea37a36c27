"""Finds the mistakes of a command line before anything heavy is imported.

Names and options are compared with the catalogue. Whatever the catalogue cannot know (a plugin that
registers in a loop, a class of another package) is left to the parser, which imports it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lightformer.catalogue.index import (
    BASES,
    Catalogue,
    trainer_options,
    unknown,
)
from lightformer.catalogue.shapes import Shape, default_name, scalar_types, shape_of
from lightformer.catalogue.signatures import Option
from lightformer.cli.command_line import CommandLine
from lightformer.cli.document import Path_
from lightformer.cli.options import DATA_COMMANDS, top_level
from lightformer.errors import ConfigError, did_you_mean
from lightformer.plain import WORDS

TRUSTED = ("lightning", "torch")
"""Packages whose classes a config may name in full, beside those of the plugins."""


def check(line: CommandLine, catalogue: Catalogue) -> None:
    """Compares all that was said with what there is.

    Raises:
        ConfigError: a key, name or option is unknown, or one that is needed is missing.
    """
    _Check(line, catalogue).run()


def check_part_options(kind: str, name: str, options: dict[str, Any], catalogue: Catalogue) -> None:
    """Compares the options of one part with what it takes.

    Raises:
        ConfigError: an option is unknown, of the wrong type, or one that is needed is missing.
    """
    if "name" in options:
        raise ConfigError(
            f"--options: {kind} {name!r} has no option 'name'; to try another part, write that in place of {name!r}."
        )
    line = CommandLine("plugins check", places={("options",): "--options"})
    _Check(line, catalogue).choice(kind, {"name": name, **options}, ("options",), "")


@dataclass
class _Check:
    line: CommandLine
    catalogue: Catalogue

    def run(self) -> None:
        tree = self.line.tree
        known = top_level(self.line.command)
        for key in tree:
            if key not in known:
                raise self.error((key,), f"there is no option {key!r}.{did_you_mean(key, known)}")
        self.trainer(tree.get("trainer"))
        for key in BASES:
            if key not in tree and key != "data" and self.line.command in DATA_COMMANDS:
                continue
            if not isinstance(tree.get(key), dict) or "name" not in tree[key]:
                raise self.error(
                    (),
                    f"no {key} is chosen; give a config, such as --config configs/mlm.yaml, "
                    f"or --{key} NAME."
                    f"{did_you_mean('', self.catalogue.names(key))}",
                )
            self.choice(key, tree[key], (key,), "")

    def error(self, path: Path_, sentence: str) -> ConfigError:
        return ConfigError(f"{self.line.place(path)}: {sentence}")

    def trainer(self, value: Any) -> None:
        options = {option.name: option for option in trainer_options()}
        for name, inner in value.items() if isinstance(value, dict) and options else ():
            path = ("trainer", name)
            if name not in options:
                raise self.error(path, f"trainer has no option {name!r}.{_near(name, options)}")
            self.scalar(options[name], inner, path)
            if name in _CLASSES:
                self.classes(inner, path)

    def classes(self, value: Any, path: Path_) -> None:
        """Refuses a class for the Trainer that nobody vouched for."""
        if isinstance(value, list):
            for number, item in enumerate(value):
                self.classes(item, (*path, str(number)))
        elif isinstance(value, dict) and "class_path" in value:
            self.classes(value["class_path"], (*path, "class_path"))
        elif isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", value):
            self.vouch(path[1], value, path)

    def vouch(self, kind: str, name: str, path: Path_) -> None:
        """Refuses a dotted name of a package that is not trusted, without importing it."""
        top = name.split(".")[0]
        if top not in (*TRUSTED, "lightformer", *self.catalogue.modules):
            names = self.catalogue.names(kind)
            choose = f"choose one of {', '.join(names)}, or load" if names else "load"
            raise self.error(
                path,
                f"{kind} {name!r} is not imported, because {top!r} was not loaded as a plugin; "
                f"{choose} your own with --plugins.",
            )

    def choice(self, kind: str, value: Any, path: Path_, default: str) -> None:
        """Checks a part, task or data module that a config chooses."""
        if value is None:
            return
        if not isinstance(value, dict):
            raise self.error(
                path, f"{kind} must be a name or a mapping with a name, not {value!r}."
            )
        name = value.get("name", default)
        if not name:
            raise self.error(
                path,
                f"{kind} has options but no name; "
                f"write {kind}: {{name: NAME, {next(iter(value), '')}: ...}}.",
            )
        if not isinstance(name, str):
            raise self.error((*path, "name"), f"the name of a {kind} is text, not {name!r}.")
        entry = self.catalogue.get(kind, name)
        if entry is None:
            self.foreign(kind, name, path)
            return
        known = {option.name: option for option in entry.options}
        self.fields(
            f"{kind} {name!r}", {k: v for k, v in value.items() if k != "name"}, known, path
        )
        missing = [o.name for o in known.values() if o.required and o.name not in value]
        if missing:
            way = f"--{'.'.join((*path, missing[0]))} VALUE"
            if self.line.command == "plugins check":
                way = f"--options '{{{missing[0]}: VALUE}}'"
            raise self.error(
                path,
                f"{kind} {name!r} needs {', '.join(missing)}, which has no default; add {way}.",
            )

    def foreign(self, kind: str, name: str, path: Path_) -> None:
        """Refuses a name that the catalogue lacks, unless a plugin may register it when it runs."""
        place = (*path, "name")
        if "." in name:
            self.vouch(kind, name, place)
        elif not self.catalogue.dynamic:
            sentence = unknown(kind, name, self.catalogue.names(kind))
            raise self.error(place, sentence[0].lower() + sentence[1:])

    def fields(
        self, owner: str, value: dict[str, Any], known: dict[str, Option], path: Path_
    ) -> None:
        """Checks the options of a part, or the fields of a dataclass."""
        for name, inner in value.items():
            if name not in known:
                raise self.error(
                    (*path, name),
                    f"{owner} has no option {name!r}.{did_you_mean(name, known, 'Its options')}",
                )
            option = known[name]
            self.scalar(option, inner, (*path, name))
            self.value(shape_of(option), inner, (*path, name), default_name(option))

    def scalar(self, option: Option, value: Any, path: Path_) -> None:
        """Checks a number or a truth value; what only looks like text is left to the parser."""
        types = scalar_types(option)
        if types and not _fits(types, value):
            wanted = " or ".join(word for name, word in _WORDS.items() if name in types)
            raise self.error(path, f"{path[-1]} must be {wanted}, but is {value!r}.")

    def value(self, shape: Shape, value: Any, path: Path_, default: str) -> None:
        if shape.kind:
            self.choice(shape.kind, value, path, default)
        elif shape.fields is not None and isinstance(value, dict):
            self.fields(
                ".".join(path), value, {option.name: option for option in shape.fields}, path
            )
        elif shape.fields is not None and isinstance(value, (int, float, list)):
            raise self.error(path, f"{path[-1]} must be a mapping, but is {value!r}.")
        elif shape.choices and isinstance(value, str) and value not in shape.choices:
            raise self.error(
                path, f"{path[-1]} cannot be {value!r}.{did_you_mean(value, shape.choices)}"
            )
        elif shape.item is not None and isinstance(value, (list, dict)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                self.value(shape.item, item, (*path, str(key)), "")


_CLASSES = ("callbacks", "logger", "plugins", "profiler", "strategy", "accelerator")
"""Options of the Trainer that a class may stand under."""

_WORDS = {kind.__name__: word for kind, word in WORDS.items()}


def _fits(types: frozenset[str], value: Any) -> bool:
    if value is None:
        return "None" in types
    if isinstance(value, bool):
        return "bool" in types
    if isinstance(value, int):
        return bool(types & {"int", "float"})
    if isinstance(value, str) and re.fullmatch(r"[-+]?(inf|nan)", value, re.IGNORECASE):
        value = float(value)
    return isinstance(value, float) and (
        "float" in types or ("int" in types and value.is_integer())
    )


def _near(name: str, known: Iterable[str]) -> str:
    """A suggestion from a list that is too long to show."""
    return did_you_mean(name, known).split(" Known:")[0] + " See lightformer fit --trainer.help."
