"""YAML, read strictly: what is ambiguous or dangerous is refused, with file and line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lightformer.errors import ConfigError, did_you_mean

MOST_BYTES = 200_000
MOST_VALUES = 20_000
"""Values in a config, once its aliases are written out."""
DEEPEST = 100
"""Levels of a config. The C parser recurses, and a deeper file would overflow its stack."""

Path_ = tuple[str, ...]


@dataclass
class Document:
    """A config file.

    Args:
        values: what it says
        lines: the line of each key, by its path
        file: where it was read
    """

    values: dict[str, Any]
    lines: dict[Path_, int] = field(default_factory=dict)
    file: str = ""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the fast one where it was built
    """Safe YAML 1.1, where 1e-3 is a number, as in YAML 1.2, and a date is text."""


_FLOAT = re.compile(
    r"""[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?   # 1.  1.5  1.5e3
        |[0-9][0-9_]*[eE][-+]?[0-9]+                        # 1e-3
        |\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?                 # .5
        |\.(?:inf|Inf|INF))$
        |\.(?:nan|NaN|NAN)$""",
    re.VERBOSE,
)
_FLOAT_TAG, _DATE_TAG = "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag not in (_FLOAT_TAG, _DATE_TAG)]
    for first, rules in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_FLOAT_TAG, _FLOAT, list("-+.0123456789"))


def read_document(file: str) -> Document:
    """Returns the mapping in a config file.

    Raises:
        ConfigError: there is no such file, or it is not one plain YAML mapping.
    """
    path = Path(file)
    if path.is_dir():
        raise ConfigError(f"{file} is a folder, but --config takes a YAML file.")
    if not path.exists():
        near = [p.as_posix() for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise ConfigError(
            f"There is no config file {file!r}.{did_you_mean(file, near, 'Files there')}"
        )
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
    if len(data) > MOST_BYTES:
        raise ConfigError(
            f"{file} has more than {MOST_BYTES:,} bytes; a config is a short YAML file."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{file}:{line}: byte {error.start} is not UTF-8 text; a config is a YAML file."
        ) from error
    if "\0" in text:
        raise ConfigError(f"{file} is binary; a config is a YAML file.")
    return parse_document(text, file)


def parse_document(text: str, file: str) -> Document:
    """Returns the mapping in a text; see `read_document`."""
    document = Document({}, file=file)
    value = _construct(text, file, document.lines)
    if value is None:
        raise ConfigError(f"{file} is empty; write at least `model:` and `data:`, or leave it out.")
    if not isinstance(value, dict):
        raise ConfigError(
            f"{file}:1: a config is a mapping, such as `trainer:` with options below it, "
            f"but this is {_called(value)}."
        )
    document.values = value
    return document


def parse_value(text: str) -> Any:
    """Returns the value of one option of the command line; unreadable YAML is text."""
    try:
        return _construct(text, "the command line", {})
    except ConfigError:
        return text


def load_yaml(text: str) -> Any:
    """Returns what a YAML text says, as strictly as `read_document`."""
    return _construct(text, "the command line", {})


def _construct(text: str, file: str, lines: dict[Path_, int]) -> Any:
    loader = _Loader(text)
    try:
        _check_depth(text, file)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, file)
        return _Builder(loader, file, lines).build(node, ())
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_explain(error, text, file)) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not YAML: {' '.join(str(error).split())}.") from error
    finally:
        loader.dispose()


def _check_depth(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
            event, yaml.CollectionEndEvent
        )
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            raise ConfigError(
                f"{file}:{line}: this is more than {DEEPEST} levels deep, too deep for a config."
            )


def _explain(error: yaml.MarkedYAMLError, text: str, file: str) -> str:
    mark = error.problem_mark or error.context_mark
    line = mark.line if mark is not None else 0
    rows = text.splitlines()
    row = rows[line] if line < len(rows) else ""
    problem = (error.problem or "syntax error").rstrip(".")
    if "\t" in row[: len(row) - len(row.lstrip())] or "'\\t'" in problem:
        problem = "a tab indents this line; YAML takes spaces only"
    elif problem == "expected a single document in the stream":
        problem = "a second document begins here; a config is one document"
    return f"{file}:{line + 1}: {problem}."


def _measure(root: yaml.Node, file: str) -> None:
    """Refuses aliases that would grow beyond measure or hold themselves, before that happens."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        key = id(node)
        if key in open_nodes:
            raise ConfigError(f"{_at(file, node)}: this value holds itself through an alias.")
        if key not in sizes:
            open_nodes.add(key)
            sizes[key] = 1 + sum(size(child) for child in _children(node))
            open_nodes.remove(key)
        return sizes[key]

    if size(root) > MOST_VALUES:
        raise ConfigError(
            f"{file}: its aliases (&, *) write out to more than {MOST_VALUES:,} values; "
            f"a config holds a few hundred. Write the values themselves."
        )


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


@dataclass
class _Builder:
    loader: Any
    file: str
    lines: dict[Path_, int]

    def build(self, node: yaml.Node, path: Path_) -> Any:
        if not node.tag.startswith("tag:yaml.org,2002:") or ":python/" in node.tag:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise ConfigError(
                f"{_at(self.file, node)}: the tag {tag} is not plain data; leave it out."
            )
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, str(i))) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        try:
            return self.loader.construct_object(node)
        except (ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"{_at(self.file, node)}: {node.value!r} cannot be read.") from error

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # <<: *base
                parts = (
                    value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                )
                for part in parts:
                    value = self.build(part, path)
                    merged = {**(value if isinstance(value, dict) else {}), **merged}
                continue
            key = str(self.build(key_node, path))
            if key in found:
                first = self.lines[(*path, key)]
                raise ConfigError(
                    f"{_at(self.file, key_node)}: {key!r} stands here twice, "
                    f"first in line {first}; keep one."
                )
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            found[key] = self.build(value_node, (*path, key))
        return {**merged, **found}


def _at(file: str, node: yaml.Node) -> str:
    return f"{file}:{node.start_mark.line + 1}"


def _called(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"the single value {str(value)[:40]!r}"
