"""`lightformer plugins ...`: what there is, whether it keeps its promises, and a start for one's own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from lightformer.cli.command_line import NO_LOCAL, plugin_names
from lightformer.cli.document import parse_value
from lightformer.errors import ConfigError, did_you_mean
from lightformer.plugins import FOLDER, SWITCH


@dataclass
class Request:
    """What was asked of one of the commands below.

    Args:
        words: what stands there without an option, such as KIND and NAME
        options: the value of each option that was given
        plugins: modules and files to load
        folder: folder of local plugins; None where they are off
    """

    words: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    plugins: list[str] = field(default_factory=list)
    folder: str | None = FOLDER


@dataclass(frozen=True)
class Command:
    """One of `lightformer plugins`.

    Args:
        usage: what comes after its name
        does: what it does, in one line
        function: `module:function`, which takes the request and returns the exit code
        words: how many words it takes
        options: those that it knows
    """

    usage: str
    does: str
    function: str
    words: int = 0
    options: tuple[str, ...] = ()


COMMANDS = {
    "list": Command(
        "[--kind KIND]",
        "all parts, tasks and data modules, a line each",
        "lightformer.cli.listing:list_parts",
        options=("kind",),
    ),
    "show": Command(
        "KIND NAME",
        "one of them: options, docs, paper, where it comes from",
        "lightformer.cli.listing:show_part",
        words=2,
    ),
    "check": Command(
        "KIND NAME [--options '{KEY: VALUE}'] [--sizes '{KEY: VALUE}'] [--skip PROMISE,...]",
        "try every promise of its kind on a part; exit code 1 if one is broken",
        "lightformer.cli.proving:check_part",
        words=2,
        options=("options", "sizes", "skip"),
    ),
    "matrix": Command(
        "[--attention NAME,...] [--position NAME,...] [--block NAME,...] [--markdown FILE]",
        "every attention with every position and wiring: what works, what is refused and why",
        "lightformer.cli.proving:print_matrix",
        options=("attention", "position", "block", "markdown"),
    ),
    "probe": Command(
        "[--attention NAME,...] [--position NAME,...] [--steps N] [--markdown FILE]",
        "what each position and each attention can do with length and order, in a few minutes",
        "lightformer.cli.probing:print_probe",
        options=("attention", "position", "steps", "markdown"),
    ),
    "new": Command(
        "KIND NAME",
        "write a plugin to start from, with its test and a config",
        "lightformer.cli.starting:new_part",
        words=2,
    ),
}

HELP = {"--help", "-h"}
USAGE = """usage: lightformer plugins {command}

{about}

options: --plugins MODULE_OR_FILE, --no-local-plugins
"""


def plugins(_command: str, arguments: list[str]) -> int:
    """Runs one of the commands."""
    name = arguments[0] if arguments else "--help"
    if name in HELP:
        rows = [f"  {name} {c.usage}\n      {c.does}" for name, c in COMMANDS.items()]
        print(USAGE.format(command="COMMAND ...", about="\n".join(rows)), end="")
        return 0
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS, "Commands")
        raise ConfigError(f"There is no command `plugins {name}`.{hint}")
    command = COMMANDS[name]
    if HELP & set(arguments):
        print(USAGE.format(command=f"{name} {command.usage}", about=command.does), end="")
        return 0
    request = _read(name, command, arguments[1:])
    module, _, function = command.function.partition(":")
    run: Callable[[Request], int] = getattr(importlib.import_module(module), function)
    return run(request)


def _read(name: str, command: Command, arguments: list[str]) -> Request:
    request = Request(folder=None if os.environ.get(SWITCH) == "0" else FOLDER)
    known = [f"--{option}" for option in (*command.options, "plugins")]
    left = list(arguments)
    while left:
        word, equals, value = left.pop(0).partition("=")
        if word == NO_LOCAL:
            request.folder = None
        elif not word.startswith("-"):
            request.words.append(word + equals + value)
        elif word not in known:
            hint = did_you_mean(word, [*known, NO_LOCAL], "Its options")
            raise ConfigError(f"`plugins {name}` has no option {word!r}.{hint}")
        else:
            if not equals and (not left or left[0].startswith("--")):
                raise ConfigError(f"{word} needs a value.")
            value = value if equals else left.pop(0)
            if word == "--plugins":
                request.plugins += plugin_names(parse_value(value))
            elif word.removeprefix("--") in request.options:
                raise ConfigError(f"{word} is given twice; give it once.")
            else:
                request.options[word.removeprefix("--")] = value
    if len(request.words) != command.words:
        raise ConfigError(f"Write `lightformer plugins {name} {command.usage}`.")
    return request
