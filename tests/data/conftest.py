"""Small texts and files, made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import sentences

from lightformer.vocabulary import Vocabulary


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(size=5003, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, eos_id=3)


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """31 documents of 2 to 12 sentences."""
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(sentences(2 + i % 11, i) for i in range(31)) + "\n")
    return path


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file, and returns its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
