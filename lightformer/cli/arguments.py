"""Options of the commands that need no config."""

from __future__ import annotations

import argparse
from typing import NoReturn

from lightformer.errors import ConfigError, did_you_mean
from lightformer.plugins import load_plugins


class Parser(argparse.ArgumentParser):
    """An argument parser that raises one sentence.

    Args:
        command: its name
        what: what it does, for --help
    """

    def __init__(self, command: str, what: str) -> None:
        super().__init__(prog=f"lightformer {command}", description=what, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog}: {message.rstrip('.')}.")

    def add_plugins(self) -> None:
        """Adds the options that say which plugins are loaded first."""
        self.add_argument(
            "--plugins", action="append", default=[], help="modules or files to load first"
        )
        self.add_argument("--no-local-plugins", action="store_true", help="do not run ./plugins")

    def read(self, arguments: list[str]) -> argparse.Namespace:
        """Returns the values of the options.

        Raises:
            ConfigError: there is no such option, or a value is wrong.
        """
        values, rest = self.parse_known_args(arguments)
        if rest:
            known = [
                s for action in self._actions for s in action.option_strings if s.startswith("--")
            ]
            raise ConfigError(
                f"{self.prog} has no option {rest[0]!r}.{did_you_mean(rest[0], known)}"
            )
        return values


def load_given_plugins(given: argparse.Namespace) -> None:
    """Loads the plugins that the options of `Parser.add_plugins` name."""
    names = [name for value in given.plugins for name in value.split(",")]
    load_plugins(names, None if given.no_local_plugins else "plugins")
