"""Finds the mistakes of a command line before anything heavy is imported.

Names and options are compared with the catalogue. Whatever the catalogue cannot know (a plugin that
registers in a loop, a class of another package) is left to the parser, which imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lightformer.catalogue import (
    BASES,
    Catalogue,
    Shape,
    default_name,
    shape_of,
    trainer_options,
    unknown,
)
from lightformer.cli.command_line import CommandLine
from lightformer.cli.document import Path_
from lightformer.cli.options import top_level
from lightformer.errors import ConfigError, did_you_mean
from lightformer.source import Option

TRUSTED = ("lightning", "torch")
"""Packages whose classes a config may name in full, beside those of the plugins."""


def check(line: CommandLine, catalogue: Catalogue) -> None:
    """Compares all that was said with what there is.

    Raises:
        ConfigError: a key, name or option is unknown, or one that is needed is missing.
    """
    _Check(line, catalogue).run()


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
            if not isinstance(tree.get(key), dict) or "name" not in tree[key]:
                raise self.error(
                    (),
                    f"no {key} is chosen; give a config, such as --config configs/mlm.yaml, or --{key} NAME."
                    f"{did_you_mean('', self.catalogue.names(key))}",
                )
            self.choice(key, tree[key], (key,), "")

    def error(self, path: Path_, sentence: str) -> ConfigError:
        return ConfigError(f"{self.line.place(path)}: {sentence}")

    def trainer(self, value: Any) -> None:
        options = {option.name for option in trainer_options()}
        for name in value if isinstance(value, dict) and options else ():
            if name not in options:
                raise self.error(("trainer", name), f"trainer has no option {name!r}.{_near(name, options)}")

    def choice(self, kind: str, value: Any, path: Path_, default: str) -> None:
        """Checks a part, task or data module that a config chooses."""
        if value is None:
            return
        if not isinstance(value, dict):
            raise self.error(path, f"{kind} must be a name or a mapping with a name, not {value!r}.")
        name = value.get("name", default)
        if not name:
            raise self.error(
                path, f"{kind} has options but no name; write {kind}: {{name: NAME, {next(iter(value), '')}: ...}}."
            )
        if not isinstance(name, str):
            raise self.error((*path, "name"), f"the name of a {kind} is text, not {name!r}.")
        entry = self.catalogue.get(kind, name)
        if entry is None:
            self.foreign(kind, name, path)
            return
        known = {option.name: option for option in entry.options}
        self.fields(f"{kind} {name!r}", {k: v for k, v in value.items() if k != "name"}, known, path)
        missing = [o.name for o in known.values() if o.required and o.name not in value]
        if missing:
            way = f"--{'.'.join((*path, missing[0]))} VALUE"
            raise self.error(path, f"{kind} {name!r} needs {', '.join(missing)}, which has no default; add {way}.")

    def foreign(self, kind: str, name: str, path: Path_) -> None:
        """Refuses a name that is not in the catalogue, unless something not yet imported may have it."""
        place = (*path, "name")
        top = name.split(".")[0]
        if "." in name and top not in (*TRUSTED, *self.catalogue.modules):
            raise self.error(
                place,
                f"{kind} {name!r} is not imported, because {top!r} is not a plugin; "
                f"load it with --plugins {top}, or choose one of: {', '.join(self.catalogue.names(kind))}.",
            )
        if "." not in name and not self.catalogue.dynamic:
            sentence = unknown(kind, name, self.catalogue.names(kind))
            raise self.error(place, sentence[0].lower() + sentence[1:])

    def fields(self, owner: str, value: dict[str, Any], known: dict[str, Option], path: Path_) -> None:
        """Checks the options of a part, or the fields of a dataclass."""
        for name, inner in value.items():
            if name not in known:
                raise self.error(
                    (*path, name), f"{owner} has no option {name!r}.{did_you_mean(name, known, 'Its options')}"
                )
            option = known[name]
            self.value(shape_of(option), inner, (*path, name), default_name(option))

    def value(self, shape: Shape, value: Any, path: Path_, default: str) -> None:
        if shape.kind:
            self.choice(shape.kind, value, path, default)
        elif shape.fields is not None and isinstance(value, dict):
            self.fields(shape.name, value, {option.name: option for option in shape.fields}, path)
        elif shape.choices and isinstance(value, str) and value not in shape.choices:
            raise self.error(path, f"{path[-1]} cannot be {value!r}.{did_you_mean(value, shape.choices)}")
        elif shape.item is not None and isinstance(value, (list, dict)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                self.value(shape.item, item, (*path, str(key)), "")


def _near(name: str, known: set[str]) -> str:
    """A suggestion from a list that is too long to show."""
    return did_you_mean(name, known).split(" Known:")[0] + " See lightformer fit --trainer.help."
