"""`lightformer bench data`: every row has a figure, and what is asked wrongly is told."""

from __future__ import annotations

import importlib.util
import re

import pytest

from lightformer.cli.main import main

PREPARING = ["file to token store", "encode_batch alone", "encode_batch_fast alone"]
BATCHES = ["windows over the store", "masking: token", "masking: whole_word", "masking: span"]
PACKING = ["windows, which", "packed documents", "one a row", "grouped by length"]


def test_every_row_has_a_figure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert main("bench data --megabytes 0.3 --repeats 1 --memory 1".split()) == 0
    out = capsys.readouterr().out
    for name in (*PREPARING, *BATCHES, *PACKING, "1 MB of text"):
        row = next(line for line in out.splitlines() if name in line)
        figure = re.search(rf"{re.escape(name)}.*?  +([\d,.]+)", row)
        assert figure, row
        assert float(figure[1].replace(",", "")) > 0
    lacking = "not installed, so not compared: datasets, transformers; pip install 'lightformer[datasets,hf]'"
    assert out.count(lacking) == 2
    assert "map as in run_mlm.py" not in out
    packing = out[out.index("no padding") :]
    share = {name: float(x) for name, x in re.findall(r"^  (\S.+?)  +([\d.]+)$", packing, re.M)}
    assert share["windows, which run on over borders of documents"] == 100
    assert 95 <= share["packed documents, kept apart"] <= 100
    assert share["documents, one a row"] < 75 < share["documents, one a row, grouped by length"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("speed", "There is no `bench speed`. Benches: data."),
        ("data --megabytes 0.1", "--megabytes must be a number from 0.3 on, not 0.1."),
        ("data --megabytes inf", "--megabytes must be a number from 0.3 on, not inf."),
        ("data --megabytes nan", "--megabytes must be a number from 0.3 on, not nan."),
        ("data --repeats 0", "--repeats must be at least 1, not 0."),
        ("data --memory 5 0", "--memory must be at least 1 megabyte, not 0."),
        (
            "data --repeat 2",
            "lightformer bench data has no option '--repeat'. Did you mean '--repeats'? "
            "Known: --help, --megabytes, --memory, --repeats, --tokenizer.",
        ),
    ],
)
def test_what_cannot_be_measured_is_told(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *words.split()]) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_the_help_names_the_bench(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench"]) == 0
    assert "lightformer bench data --help" in capsys.readouterr().out
    assert main(["bench", "data", "--help"]) == 0
    assert "--megabytes" in capsys.readouterr().out
