"""jsonargparse's and Lightning's messages, reduced to one sentence.

`check` answers most mistakes before these libraries see them; what is left are values of a wrong type.
A message of an unforeseen form is only put on one line.
"""

from __future__ import annotations

import re

from lightformer.catalogue import Catalogue, unknown
from lightformer.cli.short_form import CHOICES

_NOISE = re.compile(
    r"Does not validate against any of the Union|^\s*Subtypes: |^\s*Errors:$|Expected a <class 'NoneType'>"
    r"|Given value( type)?: |Expected a path but .* either not accessible|^\s*$"
)


def explain(message: str, catalogue: Catalogue) -> str:
    """Returns what a parser's message says, in one sentence."""
    key = ".".join(_keys(message))
    name = key.rpartition(".")[2]
    if (m := re.search(r"Expected a dot import path string: ([\w.]+)", message)) and name in CHOICES:
        return f"--{key}: {_lower(unknown(name, m[1], catalogue.names(name)))}"
    if m := re.search(r"[Vv]alue \"(.+?)\" does not validate|Given value: (.+)", message):
        value = m[1] or m[2]
        if wanted := _wanted(message):
            return f"--{key} must be {wanted}, but is {value.strip()!r}."
    if wanted := _wanted(message):
        return f"--{key} must be {wanted}."
    lines = [line.strip(" -") for line in message.splitlines() if not _NOISE.search(line)]
    text = " ".join(lines)
    return re.sub(r"[Pp]arser key \"([\w.]+)\":\s*", r"--\1: ", text).rstrip(".") + "."


def _keys(message: str) -> list[str]:
    found: list[str] = []
    for key in re.findall(r'Parser key "([\w.]+)"', message):
        found += [part for part in key.split(".") if part != "init_args"]
    return found


def _wanted(message: str) -> str:
    types = re.findall(r"Expected an? (?:<class ')?([\w ]+?)(?:'>)?(?:\.|$| but)", message, re.MULTILINE)
    named = [_TYPES.get(t, t) for t in types if t != "NoneType"]
    return " or ".join(dict.fromkeys(named))


_TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
