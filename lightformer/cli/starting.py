"""`lightformer plugins new KIND NAME`: a part of one's own to start from, with its test and a config."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from lightformer.catalogue.index import read_catalogue
from lightformer.cli.plugins import Request
from lightformer.errors import ConfigError, StorageError, did_you_mean
from lightformer.plugins import FOLDER
from lightformer.registry import KINDS
from lightformer.signature import RESERVED

TEMPLATES = files("lightformer") / "templates"

CONFIG: dict[str, str | None] = {
    "task": "CausalLM",
    "backbone": None,
    "adapter": None,
    "optimizer": "{name: adamw, lr: 2e-3}",
    "schedule": "{name: cosine, warmup_steps: 30}",
    "tokenizer": "{kind: byte_level, vocab_size: 2048}",
    "examples": "{name: windows, seq_len: 64}",
    "masking": None,
}
"""What stands in the config, where a part of the kind below does not; None for no such line."""

OWN: dict[str, dict[str, str]] = {
    "attention": {"backbone": "attention: {name: {name}, temperature: 1.0}"},
    "position": {"backbone": "position: {name: {name}, max_distance: 32}"},
    "scaling": {"backbone": "position: {name: rope, scaling: {name: {name}, factor: 4.0}}"},
    "feedforward": {"backbone": "feedforward: {name: {name}, slope: 1.0}"},
    "norm": {"backbone": "norm: {name: {name}, eps: 1e-6}"},
    "block": {"backbone": "block: {name: {name}, start: 0.5}"},
    "init": {"backbone": "init: {name: {name}, gain: 1.0}"},
    "adapter": {
        "adapter": "{name: {name}, strength: 1.0} # the backbone stays random here; give it a checkpoint as init_from"
    },
    "examples": {"examples": "{name: {name}, seq_len: 64}"},
    "masking": {
        "task": "MaskedLM",
        "backbone": "position: {name: rope, rope_theta: 100}\n    init: {name: scaled_normal, std: 0.04}",
        "tokenizer": "{kind: characters}",
        "masking": "{name: {name}, probability: 0.15, span: 3}",
    },
    "optimizer": {"optimizer": "{name: {name}, lr: 2e-3}"},
    "schedule": {"schedule": "{name: {name}, warmup_steps: 30, power: 2.0}"},
}
"""Where a part of each kind stands in the config, with an option of the template."""


def new_part(request: Request) -> int:
    """Writes a plugin, its test and a config, and prints what to do next."""
    kind, name = request.words
    _check_new(request, kind, name)
    paths = {
        "plugin": Path(FOLDER, f"{name}.py"),
        "test": Path("tests", f"test_{name}.py"),
        "config": Path("configs", f"{name}.yaml"),
    }
    for path in paths.values():
        if path.exists():
            raise ConfigError(
                f"{path} is there already, and nothing is overwritten; choose another name, or move the file."
            )
    part = _template(f"{kind}.py.txt")
    values = {
        **{key: path.as_posix() for key, path in paths.items()},
        "kind": kind,
        "name": name,
        "Class": _class_name(name, part),
        "dashed": name.replace("_", "-"),
    }
    package = "".join(f"# {line}".rstrip() + "\n" for line in _template("package.txt").splitlines())
    texts = {
        "plugin": _fill(f"{part}\n\n{package}", values),
        "test": _fill(_template("test.py.txt"), values),
        "config": _fill(_template("config.yaml.txt"), {**CONFIG, **OWN[kind], **values}),
    }
    _write({path: texts[key] for key, path in paths.items()})
    print(_fill(_template("next.txt"), values), end="")
    return 0


def _check_new(request: Request, kind: str, name: str) -> None:
    """Refuses a name that cannot be used.

    Raises:
        ConfigError: the kind is unknown, or the name is no name, or is taken.
    """
    if kind not in KINDS:
        raise ConfigError(f"There is no kind {kind!r} of part.{did_you_mean(kind, KINDS, 'Kinds')}")
    if not _is_name(name):
        near = re.sub(r"\W+", "_", name).strip("_")
        raise ConfigError(
            "The name of a part must be a word of letters, digits and _ that starts with a letter and means nothing "
            f"in Python or in a config, but is {name!r}; write {near if _is_name(near) else f'my_{kind}'}."
        )
    if (taken := read_catalogue(request.plugins, request.folder).get(kind, name)) is not None:
        raise ConfigError(
            f"There is already {kind} {name!r} ({taken.source}); choose another name."
        )


def _is_name(name: str) -> bool:
    return name.isidentifier() and not (
        name.startswith("_") or keyword.iskeyword(name) or name in RESERVED
    )


def _class_name(name: str, part: str) -> str:
    """The name in capitals, and longer where the file already uses that word."""
    found = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
    return f"My{found}" if re.search(rf"\b{found}\b", part) else found


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _fill(text: str, values: Mapping[str, str | None]) -> str:
    """Puts values in place of `{key}`, in their order; a line whose value is None goes."""
    for key, value in values.items():
        place = "{" + key + "}"
        if value is None:
            text = "".join(line for line in text.splitlines(keepends=True) if place not in line)
        else:
            text = text.replace(place, value)
    return text


def _write(texts: Mapping[Path, str]) -> None:
    """Writes all files, or none."""
    written: list[Path] = []
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
        except OSError as error:
            for other in written:
                other.unlink()
            raise StorageError(f"{path} cannot be written: {error.strerror}.") from error
