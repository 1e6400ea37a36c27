"""A user's own part, from each of the three sources: trained by its name, saved, found again, listed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT, TINY, apart, here, python, run_folder

PART = '''"""A part of a user."""

from torch import Tensor, nn

from lightformer import register
from lightformer.dimensions import Dimensions
from lightformer.feedforward import FeedForward


@register("feedforward", "power")
class Squared(FeedForward):
    """Squares what is positive.

    Args:
        sharpness: what the square is multiplied by
    """

    def __init__(self, dims: Dimensions, /, *, sharpness: float = 1.0) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.up = nn.Linear(dims.hidden_size, dims.intermediate_size)
        self.output = nn.Linear(dims.intermediate_size, dims.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.output(self.up(hidden_states).relu().square() * self.sharpness)
'''


@dataclass(frozen=True)
class Source:
    """Where a plugin lies, and what must be said to load it."""

    path: str
    label: str
    words: tuple[str, ...] = ()
    python: str = "()"
    first: str = "fill"  # what is done while nothing is loaded yet


SOURCES = {
    "folder": Source("plugins/squared.py", "plugins/squared.py", python="['plugins/squared.py']"),
    "option": Source(
        "mine/squared.py",
        "mine/squared.py",
        ("--plugins", "mine/squared.py"),
        "['mine/squared.py']",
        "load",
    ),
    "package": Source("site/squared_parts/__init__.py", "entry point squares"),
}


@pytest.fixture(scope="module", params=SOURCES)
def at(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Source, Path]:
    """A working directory with a plugin in it."""
    cwd = tmp_path_factory.mktemp("user")
    source = SOURCES[request.param]
    (cwd / source.path).parent.mkdir(parents=True)
    (cwd / source.path).write_text(PART)
    info = cwd / "site" / "squared_parts-1.0.dist-info"
    if request.param == "package":
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: squared-parts\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[lightformer.plugins]\nsquares = squared_parts\n")
    return source, cwd


def test_a_users_part_goes_all_the_way(at: tuple[Source, Path], cache_dir: Path) -> None:
    source, cwd = at
    site = {"PYTHONPATH": str(cwd / "site")}
    listed = apart("plugins", "list", "--kind", "feedforward", *source.words, cwd=cwd, **site)
    (line,) = (line for line in listed.out.splitlines() if line.split()[:1] == ["power"])
    assert line.endswith(f"Squares what is positive.  [{source.label}]")

    config = ROOT / "configs" / "mlm.yaml"
    chosen = [
        "--model.backbone.feedforward",
        "power",
        "--model.backbone.feedforward.sharpness",
        "0.7",
    ]
    words = [
        "fit",
        "--config",
        config,
        "--data.cache_dir",
        cache_dir,
        *TINY,
        *chosen,
        *source.words,
    ]
    fitted = apart(
        *words, "--trainer.max_steps", 2, "--trainer.val_check_interval", 2, cwd=cwd, **site
    )
    run = run_folder(fitted, cwd)
    assert ("plugins: plugins/squared.py\n" in fitted.err) == (source.label == "plugins/squared.py")
    config = (run / "config.yaml").read_text()
    assert "    feedforward:\n      name: power\n      sharpness: 0.7\n" in config
    assert config.endswith("plugins: []\n") == (source.label.startswith("entry point"))

    checkpoint = run / "checkpoints" / "best.ckpt"
    code = f"""
import sys, lightformer
from lightformer.cli.main import main

def fill():
    assert main(["fill-mask", sys.argv[1], "a [MASK] of", *{list(source.words)}]) == 0

def load():
    lightformer.load_plugins({source.python}, None)
    task = lightformer.load(sys.argv[1])
    part = task.backbone.blocks[0].feedforward
    print(type(part).__name__, part.sharpness, task.backbone.config.feedforward.sharpness)

for step in {source.first!r}, "fill", "load":
    globals()[step]()
"""
    used = python(code, checkpoint, cwd=cwd, **site)
    assert used.code == 0, used.err
    assert used.out.count("Squared 0.7 0.7\n") + used.out.count("[MASK] 1\n") == 3

    without = here("fill-mask", checkpoint, "a [MASK] of", "--no-local-plugins", cwd=cwd)
    assert without.code == 4
    assert without.err == (
        f"error: {checkpoint} needs a plugin that is not loaded. There is no feedforward 'power'. Known: gated, mlp. "
        f"It was trained with these plugins: {source.label}; load yours with lightformer.load_plugins([...]) or "
        "--plugins.\n"
    )


def test_its_run_goes_on_from_config_yaml_alone(at: tuple[Source, Path]) -> None:
    _, cwd = at
    run = cwd / "runs" / "mlm" / "version_0"
    last = run / "checkpoints" / "last.ckpt"
    words = ["fit", "--config", run / "config.yaml", "--ckpt_path", last, "--trainer.max_steps", 3]
    done = apart(*words, cwd=cwd, PYTHONPATH=str(cwd / "site"))
    assert done.code == 0, done.err
    assert "learnt in 3 steps: " in done.out


def test_without_its_plugin_a_name_is_unknown(cache_dir: Path, tmp_path: Path) -> None:
    words = [
        "fit",
        "--config",
        ROOT / "configs" / "mlm.yaml",
        "--model.backbone.feedforward",
        "power",
    ]
    done = here(*words, cwd=tmp_path)
    assert done.code == 2
    assert done.err.startswith(
        "error: --model.backbone.feedforward: there is no feedforward 'power'."
    )
    assert "Known: gated, mlp." in done.err
