"""Help, from the docs in the source: what there is, what it takes, how it is written."""

from __future__ import annotations

import ast
import shutil
import textwrap
from collections.abc import Iterable

from lightformer.catalogue import source as src
from lightformer.catalogue.index import (
    BASES,
    Catalogue,
    Entry,
    read_catalogue,
    trainer_options,
)
from lightformer.catalogue.shapes import Shape, default_name, shape_of
from lightformer.catalogue.signatures import Option
from lightformer.cli.command_line import CommandLine, read_command_line, split
from lightformer.cli.options import top_level
from lightformer.cli.short_form import choice_of
from lightformer.errors import ConfigError, did_you_mean
from lightformer.registry import KINDS

USAGE = """usage: lightformer {command} [--config FILE.yaml ...] [--KEY VALUE ...]

A config holds the same keys as the command line; what comes later wins.
"""

MORE = """
  --config FILE.yaml         a config; may be given several times
  --no-local-plugins         do not run the files of ./plugins
  --print_config             print the whole config and stop

  --model.help NAME          the options of a task, or --data.help NAME of a data module
  --model.backbone.help      the options of the model's body
  --model.backbone.attention.help NAME
                             the options of a part; any key of a kind will do
  --trainer.help             the options of Lightning's Trainer
"""


DATA_OPTIONS = """
  --config FILE.yaml         a config, as for a fit; may be given several times
  --data.help NAME           the options of a data module
  --plugins MODULE_OR_FILE   modules or files that register more data modules
  --no-local-plugins         do not run the files of ./plugins

data modules (--data NAME):
"""


def asks_for_help(arguments: list[str]) -> bool:
    """Whether one of the words asks for help."""
    return any(w in ("-h", "--help") or w.split("=")[0].endswith(".help") for w in arguments)


def print_help(command: str, arguments: list[str]) -> int:
    """Prints the help that was asked for."""
    given = split(arguments)
    asked = next(words for words in given if words[0] == "--help" or words[0].endswith(".help"))
    line = _line_without(command, [words for words in given if words is not asked])
    catalogue = read_catalogue(line.plugins, line.folder)
    if asked[0] == "--help":
        print(_overview(command, catalogue), end="")
        return 0
    path = asked[0].removeprefix("--").removesuffix(".help").split(".")
    path = [key for key in path if key != "init_args"]
    print(_of_key(path, asked[1] if len(asked) > 1 else None, line, catalogue), end="")
    return 0


def print_data_help(usage: str, arguments: list[str]) -> int:
    """Prints the help of a command that needs the data of a config alone."""
    if not {"-h", "--help"} & set(arguments):
        return print_help("fit", arguments)
    catalogue = read_catalogue()
    rows = [_row(name, catalogue.find("data", name).summary) for name in catalogue.names("data")]
    print("\n".join([usage + DATA_OPTIONS.rstrip("\n"), *rows]))
    return 0


def _line_without(command: str, given: list[list[str]]) -> CommandLine:
    words = [f"{words[0]}={words[1]}" if len(words) > 1 else words[0] for words in given]
    return read_command_line(command, words)


def _overview(command: str, catalogue: Catalogue) -> str:
    keys = top_level(command)
    lines = [USAGE.format(command=command)]
    lines += [_row(f"--{key}", " ".join(doc.split())) for key, doc in keys.items()]
    lines.append(MORE)
    for key, title in (("model", "tasks"), ("data", "data modules")):
        lines.append(f"{title} (--{key} NAME):")
        lines += [_row(name, catalogue.find(key, name).summary) for name in catalogue.names(key)]
        lines.append("")
    return "\n".join(lines)


def _of_key(path: list[str], name: str | None, line: CommandLine, catalogue: Catalogue) -> str:
    if path == ["trainer"]:
        return options_text(trainer_options(), "--trainer.")
    if path[0] not in BASES:
        raise ConfigError(
            f"There is no help on {'.'.join(path)}.{did_you_mean(path[0], ['trainer', *BASES])}"
        )
    shape, chosen = _at(path, line, catalogue)
    if shape.kind:
        name = name or chosen
        if not name:
            names = catalogue.names(shape.kind)
            rows = [_row(n, catalogue.find(shape.kind, n).summary) for n in names]
            return "\n".join([f"{shape.kind} (--{'.'.join(path)} NAME):", *rows, ""])
        return entry_text(catalogue.find(shape.kind, name), path)
    if shape.fields is not None:
        return options_text(shape.fields, f"--{'.'.join(path)}.")
    raise ConfigError(f"{'.'.join(path)} is one value, without options of its own.")


def _at(path: list[str], line: CommandLine, catalogue: Catalogue) -> tuple[Shape, str]:
    """What may stand under a dotted key, and which part is chosen there."""
    here = line.tree.get(path[0]) or {}
    if len(path) == 1:
        return Shape(kind=path[0]), ""
    chosen = here.get("name") if isinstance(here, dict) else None
    candidates = [chosen] if chosen else catalogue.names(path[0])
    for name in candidates:
        options: Iterable[Option] = catalogue.find(path[0], name).options
        for depth, key in enumerate(path[1:], start=2):
            option = next((o for o in options if o.name == key), None)
            if option is None:
                break
            shape = shape_of(option)
            if depth == len(path):
                return shape, ""
            if shape.fields is not None:
                options = shape.fields
            elif shape.kind and (default := catalogue.get(shape.kind, default_name(option))):
                options = default.options
            else:
                break
    if kind := choice_of(path[-1]):
        return Shape(kind=kind), ""
    raise ConfigError(
        f"There is no option {'.'.join(path)}; see lightformer fit --model.help NAME."
    )


def entry_text(entry: Entry, path: list[str] | None = None) -> str:
    """Returns all there is to say of a part, task or data module."""
    where = path or _usual_path(entry.kind)
    dotted = ".".join(where)
    body = entry.doc.split("\nArgs:\n")[0].rstrip()
    lines = [
        f"{entry.kind} {entry.name}  ({entry.source}, {entry.file}:{entry.line})",
        "",
        body,
        "",
    ]
    if entry.options:
        lines += ["options:", options_text(entry.options, f"--{dotted}.")]
    else:
        lines += ["It has no options.", ""]
    needed = [option for option in entry.options if option.required]
    short = {option.name: "..." for option in needed}
    inside = ", ".join([f"name: {entry.name}", *(f"{k}: {v}" for k, v in short.items())])
    yaml = f"{entry.kind}: {{{inside}}}" if short else f"{entry.kind}: {entry.name}"
    words = "".join(f" --{dotted}.{name} ..." for name in short)
    lines += [
        f"in a config:          {yaml}",
        f"on the command line:  --{dotted} {entry.name}{words}",
    ]
    if entry.kind in KINDS:
        call = ", ".join(f"{k}=..." for k in short)
        lines.append(f"in Python:            {entry.kind}.{entry.name}({call})")
    return "\n".join([*lines, ""])


def _usual_path(kind: str) -> list[str]:
    if kind in BASES:
        return [kind]
    return [*_PLACES.get(kind, "model.backbone").split("."), kind]


_PLACES = {
    "adapter": "model",
    "examples": "data",
    "masking": "data",
    "optimizer": "model",
    "schedule": "model",
    "scaling": "model.backbone.position",
}
"""Where a part is chosen, if not in the backbone."""


def options_text(options: Iterable[Option], prefix: str) -> str:
    """Returns a table of options: name, type, default, doc."""
    lines = []
    for option in options:
        default = "required" if option.required else f"default {_default_text(option)}"
        lines.append(f"  {prefix}{option.name}  {type_text(option)}  ({default})")
        lines += textwrap.wrap(
            option.doc, _width(), initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    return "\n".join([*lines, ""])


def type_text(option: Option) -> str:
    """Returns the type of an option, where an alias stands for it written out."""
    if kind := shape_of(option).kind:
        return f"{kind} | None" if "None" in option.type else kind
    return option.type if option.annotation is None else _written_out(option, option.annotation)


def _written_out(option: Option, node: ast.expr) -> str:
    if isinstance(node, ast.BinOp):
        return f"{_written_out(option, node.left)} | {_written_out(option, node.right)}"
    target = src.resolve(option.module, node)
    if target is not None and not isinstance(target[1], src.Definition):
        node = target[1]  # an alias
    return src.text(node)


def _default_text(option: Option) -> str:
    if shape_of(option).kind and (name := default_name(option)):
        return name
    return {"list()": "[]", "dict()": "{}", "tuple()": "()"}.get(
        str(option.default), str(option.default)
    )


def _row(name: str, doc: str) -> str:
    first, indent = f"  {name:26} ", " " * 29
    lines = textwrap.wrap(doc, _width(), initial_indent=indent, subsequent_indent=indent) or [first]
    return "\n".join(
        [first + lines[0][29:], *lines[1:]] if len(first) == 29 else [first.rstrip(), *lines]
    )


def _width() -> int:
    return min(100, max(60, shutil.get_terminal_size((100, 24)).columns))
