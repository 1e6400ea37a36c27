"""What a new model takes over of one to start from, and what the user says of it, which counts or is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lightformer import BackboneConfig, init
from lightformer.cli.main import main
from lightformer.errors import CheckpointError
from lightformer.tasks import MaskedLM, SequenceClassification
from tests.hf.test_folders import BERT, VOCABULARY, folder_of
from tests.hf.test_special_tokens import write_tokenizer

START = replace(BERT, dropout=0.25)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(MaskedLM(vocabulary=VOCABULARY, backbone=START), tmp_path)


def started(folder: Path, *options: Any) -> SequenceClassification:
    given = {"backbone": options[0]} if options else {}
    return SequenceClassification(vocabulary=VOCABULARY, init_from=str(folder), **given)


def test_what_is_not_said_is_as_it_was(folder: Path) -> None:
    for options in ((), ({},)):
        config = started(folder, *options).backbone.config
        assert (config.dropout, config.max_seq_len) == (0.25, 17)


def test_what_is_said_counts_though_it_is_the_default(folder: Path) -> None:
    task = started(folder, {"dropout": 0.0, "init": {"name": "xavier"}, "is_causal": True})
    assert task.backbone.config.dropout == 0.0
    assert {m.p for m in task.backbone.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}
    assert task.backbone.config.init == init.xavier()
    assert task.backbone.is_causal
    for layers in (4, 3):  # 4 is the default
        refused = rf"has num_layers 2, but the config asks for {layers}; leave num_layers out"
        with pytest.raises(CheckpointError, match=refused):
            started(folder, {"num_layers": layers})
    assert started(folder, {"num_layers": 2}).backbone.config.dropout == 0.25
    with pytest.raises(
        CheckpointError, match=r"does not fit: backbone.positions.0.embedding.weight"
    ):
        started(folder, {"max_seq_len": 512})


def test_all_of_a_whole_config_counts(folder: Path) -> None:
    assert started(folder, replace(START, dropout=0.0)).backbone.config.dropout == 0.0
    with pytest.raises(CheckpointError, match="has hidden_size 18, but the config asks for 256"):
        started(folder, BackboneConfig(dropout=0.0))


def printed(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What a run would be made of."""
    line = (
        f"fit --model SequenceClassification --model.init_from {folder} --data LabelledPythonDocs"
    )
    assert main([*line.split(), *words, "--print_config", "--no-local-plugins"]) == 0
    return dict(yaml.safe_load(capsys.readouterr().out)["model"]["backbone"])


def test_on_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tokenizer(folder, "<s> $A </s>")
    plain = printed(folder, capsys)
    assert (plain["dropout"], plain["max_seq_len"], plain["hidden_size"]) == (0.25, 17, 18)
    assert plain["norm"] == {"name": "layer_norm", "eps": 1e-12, "bias": True}
    assert plain["is_causal"] is None
    said = printed(folder, capsys, "--model.backbone.dropout", "0")
    assert said == {**plain, "dropout": 0.0}
    file = folder / "small.yaml"
    file.write_text("model: {backbone: {dropout: 0, num_layers: 4}}")
    assert printed(folder, capsys, "--config", str(file)) == {**said, "num_layers": 4}


def test_a_default_that_does_not_fit_is_refused_on_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tokenizer(folder, "<s> $A </s>")
    line = f"fit --model MaskedLM --model.init_from {folder} --data PythonDocs --model.backbone.num_layers 4"
    assert main([*line.split(), "--no-local-plugins"]) == 4
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        rf"error: The backbone of {folder} has num_layers 2, but the config asks for 4; leave num_layers out, or "
        "train from scratch without init_from.",
        said,
    )
