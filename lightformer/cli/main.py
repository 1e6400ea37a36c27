"""The command `lightformer`: from words to an exit code, importing nothing before its time."""

from __future__ import annotations

import errno
import importlib
import os
import reprlib
import sys
from collections.abc import Callable

import lightformer
from lightformer.errors import ConfigError, LightformerError, did_you_mean

COMMANDS = {
    "prepare": ("turn text into tokens, ready for a fit", "lightformer.cli.preparing:prepare_text"),
    "fit": ("train a model", "lightformer.cli.run:run"),
    "validate": ("measure a checkpoint on the validation data", "lightformer.cli.run:run"),
    "test": ("measure a checkpoint on the test data", "lightformer.cli.run:run"),
    "predict": ("write what a checkpoint predicts", "lightformer.cli.run:run"),
    "generate": ("continue a prompt with a checkpoint", "lightformer.cli.use:generate"),
    "fill-mask": ("fill the gaps of a text with a checkpoint", "lightformer.cli.use:fill_mask"),
    "import-hf": ("make a checkpoint of a folder of transformers", "lightformer.cli.exchange:take"),
    "export-hf": ("make a folder of transformers of a checkpoint", "lightformer.cli.exchange:give"),
    "export-onnx": ("make a file of ONNX of a checkpoint", "lightformer.cli.onnx:export"),
    "bench": ("measure the way from text to batches", "lightformer.cli.bench:bench"),
    "data": ("show what is in the tokens", "lightformer.cli.showing:data"),
    "plugins": (
        "list the parts there are, show one, check it, or start your own",
        "lightformer.cli.plugins:plugins",
    ),
}

USAGE = """usage: lightformer COMMAND [OPTIONS]

{commands}

  lightformer fit --config configs/mlm.yaml
  lightformer fit --config configs/mlm.yaml --trainer.max_steps 100 --model.backbone.attention gqa
  lightformer COMMAND --help

options: --help, --version
"""


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; `lightformer.errors` says what the codes mean."""
    words = sys.argv[1:] if argv is None else argv
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except LightformerError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except SystemExit as end:  # argparse and jsonargparse end so after --help and --print_config
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        name = reprlib.repr(str(error.filename))
        print(f"error: {name} is too long for the name of a file; give another.", file=sys.stderr)
        return ConfigError.exit_code


def _run(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        lines = [f"  {name:11} {summary}" for name, (summary, _) in COMMANDS.items()]
        print(USAGE.format(commands="\n".join(lines)), end="")
        return 0
    if words[0] == "--version":
        print(f"lightformer {lightformer.__version__}")
        return 0
    command, arguments = words[0], words[1:]
    if command.startswith("-"):
        raise ConfigError(
            f"The command comes first: lightformer COMMAND {command} ..., not {command} ...."
        )
    if command not in COMMANDS:
        raise ConfigError(
            f"There is no command {command!r}.{did_you_mean(command, COMMANDS, 'Commands')}"
        )
    module, _, name = COMMANDS[command][1].partition(":")
    function: Callable[[str, list[str]], int] = getattr(importlib.import_module(module), name)
    return function(command, arguments)
