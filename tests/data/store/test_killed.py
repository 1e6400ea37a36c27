"""Killed at any moment, the writing of a store goes on, and the same bytes come out."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from itertools import cycle
from pathlib import Path

import pytest
from corpora import sentences
from killing import begin, contents, killed

from lightformer.data.sentences import Document, split_sentences
from lightformer.data.store import open_store, verify_store, write_store
from lightformer.data.store.growing import GrowingFile
from lightformer.data.store.journal import Journal
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.tokenizer import Tokenizer, TokenizerConfig

EOS = 3
SHARD = 5003


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(iter([sentences(97, 0)]), TokenizerConfig("bpe", vocab_size=83))


def documents(count: int) -> list[Document]:
    """Some are empty, some longer than a shard."""
    lengths = [7, 0, 31, 211, 1, 67]
    return [Document(split_sentences(sentences(lengths[i % 6], i))) for i in range(count)]


def test_twenty_times_at_random_moments(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts, target = documents(701), tmp_path / "s"
    write_store(tmp_path / "whole/s", texts, tokenizer, EOS, {"a": "1"}, shard=SHARD)
    draw, kills, finished = random.Random(3), 0, 0
    while kills < 20:
        child = begin(lambda: write_store(target, texts, tokenizer, EOS, {"a": "1"}, shard=SHARD))
        time.sleep(draw.uniform(0.0, 0.25))
        os.kill(child, signal.SIGKILL)
        if killed(child):
            kills += 1
        else:
            finished += 1
            assert contents(target) == contents(tmp_path / "whole/s")
            target.rename(tmp_path / f"finished-{finished}")
    write_store(target, texts, tokenizer, EOS, {"a": "1"}, shard=SHARD)
    assert contents(target) == contents(tmp_path / "whole/s")
    assert not list(tmp_path.glob(".*"))
    verify_store(target)
    text = "[SEP]".join("".join(d.pieces) for d in texts if d.pieces) + "[SEP]"
    assert tokenizer.decode(open_store(target).tokens, skip_special_tokens=False) == text


def test_in_the_middle_of_every_write(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, target = documents(29), tmp_path / "s"
    write_store(tmp_path / "whole/s", texts, tokenizer, EOS, shard=SHARD)
    append, note = GrowingFile.append, Journal._write
    writes = last = 0

    def torn(file: GrowingFile, data: memoryview) -> None:
        if dies():
            append(file, memoryview(data).cast("B")[: memoryview(data).nbytes // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        append(file, data)

    def torn_note(journal: Journal, value: object) -> None:
        if dies():
            journal._journal.write(json.dumps(value).encode()[:-7])
            os.kill(os.getpid(), signal.SIGKILL)
        note(journal, value)

    def dies() -> bool:
        nonlocal writes
        writes += 1
        return writes == last

    monkeypatch.setattr(GrowingFile, "append", torn)
    monkeypatch.setattr(Journal, "_write", torn_note)
    done = 0
    for moment in cycle(range(1, 12)):  # a shard is four writes
        last = moment
        if not killed(begin(lambda: write_store(target, texts, tokenizer, EOS, shard=SHARD))):
            break
        (partial,) = tmp_path.glob(".*")
        lines = (partial / "shards.jsonl").read_text().count("\n")
        assert lines >= done
        done = lines
        assert not target.exists()
    assert done > 10
    assert contents(target) == contents(tmp_path / "whole/s")
    assert not list(tmp_path.glob(".*"))
