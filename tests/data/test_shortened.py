"""Documents that are longer than a row are counted, and that is said when a fit begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from corpora import make_corpus

from lightformer import examples
from lightformer.data.mixture import Mixture
from lightformer.examples import Corpus, ExamplesSpec
from lightformer.vocabulary import Vocabulary
from tests.e2e.harness import here

LENGTHS = [[3, 4], [1, 2], [5, 6], [7, 1], [2, 9], [4, 4], [13, 11]]
SPECS = [
    examples.documents(seq_len=9),
    examples.documents(seq_len=11, special_tokens=True),
    examples.documents(seq_len=5, long="split"),
    examples.labelled(seq_len=11),
    examples.windows(seq_len=7),
]


def corpus_for(spec: ExamplesSpec, columns: int = 2) -> Corpus:
    if spec != examples.labelled(seq_len=11):
        return make_corpus(LENGTHS, separator=3)
    corpus = make_corpus([lengths[:columns] for lengths in LENGTHS])
    return replace(corpus, labels=np.zeros(len(LENGTHS), dtype=np.int64))


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("spec", SPECS)
def test_those_are_counted_of_which_a_token_is_in_no_row(
    vocabulary: Vocabulary, spec: ExamplesSpec, columns: int
) -> None:
    corpus = corpus_for(spec, columns)
    part = spec(corpus, vocabulary, 3, False)
    rows = part.batch(np.arange(len(part)), 0)["input_ids"]
    seen = {*rows.flatten().tolist(), 3}
    documents = [set(corpus.tokens[a:b].tolist()) for a, b in pairwise(corpus.bounds())]
    expected = sum(not tokens <= seen for tokens in documents)
    if spec == examples.windows(seq_len=7):
        expected = 0  # the end of the text is left out, but no document is cut off
    assert part.shortened() == expected
    assert Mixture([part, part], [1, 1], 0, 3, True).shortened() == 2 * expected


def test_a_document_as_long_as_the_row_is_whole(vocabulary: Vocabulary) -> None:
    corpus = make_corpus([[7], [8], [9]], separator=3)  # and the separator
    found = [examples.documents(seq_len=n)(corpus, vocabulary, 3, True) for n in (7, 8, 9, 10)]
    assert [part.shortened() for part in found] == [3, 2, 1, 0]


def test_a_fit_says_once_how_many_are_cut(
    write: Callable[[str, str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write("a.jsonl", "".join(f'{{"text": "{"moon " * n}"}}\n' for n in range(1, 32)))
    words = """--model CausalLM --data TextFiles --data.train a.jsonl --data.validation a.jsonl
        --data.tokenizer.kind characters --data.examples documents --data.batch_size 2
        --trainer.max_epochs 2 --trainer.accelerator cpu --model.backbone.hidden_size 24
        --model.backbone.num_layers 1 --data.examples.seq_len""".split()
    done = here("fit", *words, 100, cwd=tmp_path)
    assert done.code == 0, done.err
    sentence = (
        "12 of 31 training documents are cut, since they are longer than examples.seq_len; "
        "raise it, or set examples.long: split, to keep them whole."
    )
    assert caplog.text.count(sentence) == 1
    caplog.clear()
    done = here("fit", *words, 160, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "are cut" not in caplog.text


def test_tokens_that_were_altered_are_not_trained_on(
    write: Callable[[str, str], Path], tmp_path: Path
) -> None:
    write("a.txt", "One two three. " * 53)
    words = """--model CausalLM --data TextFiles --data.train a.txt --data.batch_size 2
        --data.tokenizer.kind characters --data.examples.seq_len 7 --trainer.max_steps 1
        --trainer.accelerator cpu --model.backbone.hidden_size 24
        --model.backbone.num_layers 1""".split()
    done = here("fit", *words, cwd=tmp_path)
    assert done.code == 0, done.err
    (folder,) = tmp_path.glob("data/cache/tokens/*")
    data = bytearray((folder / "tokens.bin").read_bytes())
    data[7] ^= 1
    (folder / "tokens.bin").write_bytes(data)
    done = here("fit", *words, cwd=tmp_path)
    assert done.code == 3
    assert done.error == (
        f"error: {folder.relative_to(tmp_path)} is damaged (tokens.bin is not what was written); "
        "delete the folder, it is made again."
    )
