from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np

from lightformer.data.benchmark.corpus import write_corpus


def documents(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


def test_a_corpus_is_as_long_as_asked_and_always_the_same(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_corpus(tmp_path / name, 0.3, seed)
    found = documents(tmp_path / "a")
    size = (tmp_path / "a").stat().st_size
    assert 0 <= size - 3e5 <= max(map(len, found)) + 20
    assert found == documents(tmp_path / "b")
    assert found != documents(tmp_path / "c")


def test_it_is_like_a_language(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a", 0.7)
    found = documents(tmp_path / "a")
    lengths = np.array([len(text.split()) for text in found])
    assert 38 < np.median(lengths) < 52
    assert lengths.min() < 8
    assert lengths.max() > 400
    assert all(text.endswith(".") and text[0].isupper() for text in found)
    assert all(part[:1].isupper() for text in found for part in text.split(". "))
    counts = np.array(
        sorted(Counter(" ".join(found).lower().replace(".", "").split()).values())[::-1]
    )
    expected = counts.sum() / np.arange(2.7, 30_002.7) / np.sum(1 / np.arange(2.7, 30_002.7))
    assert np.allclose(counts[:20], expected[:20], rtol=0.1)
    assert np.allclose(counts[:500].sum(), expected[:500].sum(), rtol=0.02)
