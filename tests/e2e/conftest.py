"""Data and models that the end-to-end tests share: made once, and never changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT, TINY, here, run_folder

Fit = Callable[[str], Path]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokenizers and tokens, made by the first test that needs them."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Fit:
    """The folder of a short run of a config: `trained("mlm")`."""
    cwd = tmp_path_factory.mktemp("trained")

    @cache
    def fit(name: str) -> Path:
        config = ROOT / "configs" / f"{name}.yaml"
        steps = "--trainer.max_steps 3 --trainer.val_check_interval 3".split()
        words = ("fit", "--config", config, "--data.cache_dir", cache_dir, *TINY, *steps)
        return run_folder(here(*words, cwd=cwd), cwd)

    return fit


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """41 labelled rows, as words that tell and words that do not."""
    words = {"good": "a fine and lovely thing", "bad": "a dull and broken mess"}
    rows = [f"{text} number {i},{label}" for i in range(41) for label, text in words.items()][:41]
    path = tmp_path / "reviews.csv"
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path
