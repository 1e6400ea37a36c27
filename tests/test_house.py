"""The house: imports point down only, and files stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import lightformer

ROOT = Path(lightformer.__file__).parent
LAYERS: list[tuple[str, ...]] = [
    ("errors",),
    ("importing", "paths", "checks", "vocabulary", "draws", "signature", "patterns"),
    ("registry",),
    ("plain", "plugins"),
    ("catalogue",),
    ("dimensions", "activations", "memo", "masks", "cache", "kernels"),
    (
        "position",
        "scaling",
        "norm",
        "feedforward",
        "init",
        "adapter",
        "optimizer",
        "schedule",
        "examples",
    ),
    ("attention", "block", "masking", "hiding", "words", "layout"),
    ("softmax_attention", "linear_adapter", "embeddings"),
    ("parts",),
    ("backbone_config", "special_tokens"),
    ("tokenizer",),
    ("backbone", "hf"),
    ("heads", "generation", "merging"),
    ("checkpoint",),
    ("pretrained",),
    ("tasks", "data"),
    ("loading", "training", "testing"),
    ("exchange", "onnx"),
    ("cli", "__main__"),
]
"""From the ground up. A module imports from its own floor and those below; `__init__` is the door."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
WITHOUT_TORCH = LEVEL["catalogue"]
CALLED = {
    path: ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    for path in ROOT.rglob("*.py")
}
MODULES = sorted(set(CALLED.values()))


def path_of(module: str) -> Path:
    return next(path for path, name in CALLED.items() if name == module)


@cache
def imports(module: str) -> frozenset[str]:
    """Every module that is imported, at the top or in a function, as long a name as there is."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path_of(module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            for alias in node.names:
                longer = f"{node.module}.{alias.name}"
                known = longer in MODULES or f"{longer}.__init__" in MODULES
                found.add(longer if known else str(node.module))
    return frozenset(found)


def part_of_house(module: str) -> str:
    """The second word of `lightformer.masks`, or `__init__` for the package itself."""
    return [*module.split("."), "__init__"][1]


def ours(module: str) -> list[str]:
    return [name for name in imports(module) if name.split(".")[0] == "lightformer"]


def level(module: str) -> int:
    name = part_of_house(module)
    assert name in LEVEL, f"{module} has no floor yet; give {name!r} one in LAYERS."
    return LEVEL[name]


INNER = [name for name in MODULES if part_of_house(name) != "__init__"]


@pytest.mark.parametrize("module", INNER)
def test_imports_point_down(module: str) -> None:
    up = [
        name
        for name in ours(module)
        if part_of_house(name) != "__init__" and level(name) > level(module)
    ]
    assert not up


@pytest.mark.parametrize(
    "module", [name for name in INNER if name.startswith("lightformer.parts.")]
)
def test_parts_import_no_sibling(module: str) -> None:
    assert not [name for name in ours(module) if name.startswith("lightformer.parts")]


@pytest.mark.parametrize("module", INNER)
def test_data_and_tasks_meet_only_at_batch_keys(module: str) -> None:
    own = part_of_house(module)
    other = {"data": "tasks", "tasks": "data"}.get(own)
    assert not [name for name in ours(module) if part_of_house(name) == other]


@pytest.mark.parametrize("module", INNER)
def test_who_may_import_what_is_heavy(module: str) -> None:
    outer = {name.split(".")[0] for name in imports(module)}
    if part_of_house(module) not in ("cli", "__main__"):
        assert "jsonargparse" not in outer
    if level(module) < LEVEL["checkpoint"]:
        assert not outer & {"lightning", "torchmetrics", "tensorboard"}
    if level(module) <= WITHOUT_TORCH:
        assert not outer & {"torch", "tokenizers"}
    assert "transformers" not in outer


def test_the_registry_imports_the_standard_library_alone() -> None:
    for module in ("errors", "importing", "paths", "registry", "plain", "vocabulary"):
        outer = {name.split(".")[0] for name in imports(f"lightformer.{module}")}
        assert outer <= {*sys.stdlib_module_names, "lightformer"}


def resolved(name: str) -> str:
    return f"{name}.__init__" if f"{name}.__init__" in MODULES else name


def test_there_is_no_circle() -> None:
    done: set[str] = set()

    def follow(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module in done:
            return
        for name in map(resolved, ours(module)):
            if name in INNER:
                follow(name, (*path, module))
        done.add(module)

    for module in INNER:
        follow(module, ())


def test_nothing_lists_the_built_in_parts() -> None:
    for module in INNER:
        if not module.startswith("lightformer.parts."):
            assert not [n for n in ours(module) if n.startswith("lightformer.parts.")], module


def test_the_package_is_light_until_it_is_used() -> None:
    code = "import sys, lightformer, lightformer.registry, lightformer.plugins; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "lightformer.registry" in loaded
    assert not loaded & {"torch", "numpy", "lightning", "jsonargparse", "yaml", "tokenizers"}


@pytest.mark.parametrize("module", MODULES)
def test_a_file_is_short(module: str) -> None:
    assert len(path_of(module).read_text().splitlines()) <= 300


@pytest.mark.parametrize("module", MODULES)
def test_a_file_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(ast.parse(path_of(module).read_text()))
