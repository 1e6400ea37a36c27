"""What others make of a corpus, where they are installed: the same tokens, in rows of one length."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import pytest

from lightformer.data.benchmark.corpus import write_corpus
from lightformer.data.benchmark.theirs import Theirs
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.tokenizer import TokenizerConfig

pytest.importorskip("datasets")
pytest.importorskip("transformers")


def test_their_samples_are_of_the_same_tokens(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    write_corpus(corpus, 0.02)
    texts = [json.loads(line)["text"] for line in corpus.read_text().splitlines()]
    tokenizer = train_tokenizer(iter(texts), TokenizerConfig(vocab_size=301))
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_json())
    theirs = Theirs(corpus, tmp_path / "tokenizer.json", tmp_path / "theirs", 17)
    samples = theirs.prepare(0)
    found = list(chain(*samples["input_ids"]))
    expected = list(chain(*(tokenizer.encode(text) for text in texts)))
    assert found == expected[: len(expected) // 17 * 17]
    plain = next(iter(theirs.batches(samples, 5, masked=False)))
    assert plain["input_ids"].shape == (5, 17)
    masked = next(iter(theirs.batches(samples, 31, masked=True)))
    assert (masked["labels"] != -100).any()
    assert tokenizer.vocabulary.mask_id in masked["input_ids"]
