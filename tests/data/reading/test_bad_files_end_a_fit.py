"""A bad file ends `lightformer fit` with exit code 3 and one sentence, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import Done, apart, here

Write = Callable[[str, "str | bytes"], Path]
WORDS = """--trainer.max_steps 1 --trainer.accelerator cpu --model.backbone.hidden_size 24
    --model.backbone.num_layers 1 --data.batch_size 2 --data.tokenizer.kind characters""".split()
TEXT = ["--model", "CausalLM", "--data", "TextFiles", "--data.examples.seq_len", 7]
ROWS = ["--model", "SequenceClassification", "--data", "LabelledFiles"]


def ends_with(done: Done, folder: Path, sentence: str) -> None:
    assert done.code == 3, done.err
    assert done.error == f"error: {sentence}"
    assert "Traceback" not in done.err + done.out
    assert not list(folder.rglob("*.ckpt"))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", b"", "a.txt is empty."),
        ("a.txt", b"one\n\0", "a.txt, line 2 has a NUL byte (byte 4): this is not a text file."),
        (
            "a.jsonl",
            b'{"text": "one two three"}\n{"text": "four"\n',
            "a.jsonl, line 2, column 16 is broken JSON: Expecting ',' delimiter.",
        ),
        (
            "a.csv",
            b"text\none\ntwo,three\n",
            "a.csv, line 3 has 2 columns, but the header has 1; put quotes around text that holds "
            "the separator.",
        ),
    ],
)
def test_a_bad_text(write: Write, tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    write(name, content)
    ends_with(here("fit", *TEXT, *WORDS, "--data.train", name, cwd=tmp_path), tmp_path, sentence)


@pytest.mark.parametrize(
    ("train", "validation", "sentence"),
    [
        (
            '{"text": "a", "label": 1}\n{"text": "b", "label": "1"}',
            '{"text": "a", "label": 1}',
            "a.jsonl, line 2 has a word as 'label' ('1'), but a.jsonl, line 1 has a number (1); "
            "use one kind throughout.",
        ),
        (
            '{"text": "a", "label": 1}\n{"text": "b", "label": 0}',
            '{"text": "a", "label": 2}',
            "v.jsonl, line 1 has the 'label' 2, which no training row has. Known: 0, 1.",
        ),
        (
            '{"text": "a", "label": 1}\n{"text": "b", "label": NaN}',
            '{"text": "a", "label": 1}',
            "a.jsonl, line 2 must have a word or a whole number as 'label', but has nan.",
        ),
    ],
)
def test_a_bad_label(
    write: Write, tmp_path: Path, train: str, validation: str, sentence: str
) -> None:
    write("a.jsonl", train)
    write("v.jsonl", validation)
    files = ["--data.train", "a.jsonl", "--data.validation", "v.jsonl"]
    ends_with(here("fit", *ROWS, *WORDS, *files, cwd=tmp_path), tmp_path, sentence)


def test_the_last_line_of_a_process_is_the_sentence(write: Write, tmp_path: Path) -> None:
    write("a.txt", b"one\ntwo\xff")
    done = apart("fit", *TEXT, *WORDS, "--data.train", "a.txt", cwd=tmp_path)
    sentence = "a.txt, line 2 is not utf-8: byte 7 is 0xff; convert the file, or set data.encoding."
    ends_with(done, tmp_path, sentence)


def test_a_mixture_with_faults_is_trained_on_where_they_are_skipped(
    write: Write, tmp_path: Path
) -> None:
    write("a.txt", "One two. " * 31)
    write("b.jsonl", '{"text": "Three four five. "}\n{"text": 3}\n' * 17)
    mixture = ["--data.train", "{a.txt: 0.5, b.jsonl: 2}", "--data.on_error", "skip"]
    done = here("fit", *TEXT, *WORDS, *mixture, cwd=tmp_path)
    assert done.code == 0, done.err
