"""From a language model to a classifier: what is taken over, what is said, and the classifier put to use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from tests.e2e.harness import TINY, Done, apart, here, run_folder, scalars

LABELS = ["bad", "good"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    words = {"good": "a fine and lovely thing", "bad": "a dull and broken mess"}
    rows = [f"{text} number {i},{label}" for i in range(53) for label, text in words.items()]
    (folder / "reviews.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return folder


@pytest.fixture(scope="module")
def pretrained(trained) -> Path:
    return trained("mlm") / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def tuned(folder: Path, pretrained: Path, cache_dir: Path) -> tuple[Done, Path]:
    """A classifier that starts from a language model, its learning rate 0, so that nothing moves."""
    sizes = [w for o, w in zip(TINY[::2], TINY[1::2], strict=True) if "hidden_size" in o]
    assert sizes == ["24"]
    rest = [
        w
        for o, v in zip(TINY[::2], TINY[1::2], strict=True)
        if not o.startswith("--model")
        for w in (o, v)
    ]
    rest = [*rest, "--data.cache_dir", str(cache_dir)]
    words = [
        "--model",
        "SequenceClassification",
        "--data",
        "LabelledFiles",
        "--data.train",
        "reviews.csv",
        *rest,
    ]
    steps = "--trainer.max_steps 2 --trainer.val_check_interval 2 --model.optimizer.lr 0".split()
    done = apart("fit", *words, *steps, "--model.init_from", pretrained, cwd=folder)
    return done, run_folder(done, folder)


def test_the_backbone_is_that_of_the_language_model(
    tuned: tuple[Done, Path], pretrained: Path
) -> None:
    _, run = tuned
    before = torch.load(pretrained, weights_only=True)
    after = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    backbone = [name for name in before["state_dict"] if name.startswith("backbone.")]
    assert len(backbone) > 20
    for name in backbone:
        assert torch.equal(before["state_dict"][name], after["state_dict"][name]), name
    assert after["lightformer"]["tokenizer"] == before["lightformer"]["tokenizer"]
    assert after["hyper_parameters"]["backbone"] == {
        **before["hyper_parameters"]["backbone"],
        "is_causal": False,
    }
    assert list(after["hyper_parameters"]["vocabulary"]["labels"]) == LABELS


def test_three_lines_say_what_was_taken_over(tuned: tuple[Done, Path], pretrained: Path) -> None:
    done, _ = tuned
    said = (done.out + done.err).splitlines()
    start = said.index(f"taken over from {pretrained} (MaskedLM): the backbone")
    assert said[start + 1].startswith("left over there: head.")
    assert said[start + 2] == "starting anew: classifier.weight, classifier.bias"


@pytest.fixture(scope="module")
def classifier(folder: Path, pretrained: Path, tuned: tuple[Done, Path]) -> Path:
    """The same, trained: from its config.yaml, with a learning rate."""
    words = ["fit", "--config", tuned[1] / "config.yaml", "--model.optimizer.lr", "1e-2"]
    done = here(*words, "--trainer.max_steps", 30, "--model.schedule", "constant", cwd=folder)
    run = run_folder(done, folder)
    assert scalars(run, "val/accuracy")[-1] == 1.0
    return run / "checkpoints" / "best.ckpt"


def test_a_classifier_is_tested_without_a_config(classifier: Path, folder: Path) -> None:
    done = here("test", "--ckpt_path", classifier, cwd=folder)
    assert done.code == 0, done.err
    rows = re.findall(r"(test/\w+)\W+([\d.]+)", done.out)  # with a frame where rich is installed
    values = {name: float(value) for name, value in rows}
    assert values["test/accuracy"] == 1.0
    assert {"test/loss", "test/f1", "test/precision", "test/recall"} <= set(values)


def test_a_classifier_predicts_rows_of_json(classifier: Path, folder: Path) -> None:
    done = here("predict", "--ckpt_path", classifier, "--output", "out/rows.jsonl", cwd=folder)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (folder / "out" / "rows.jsonl").read_text().splitlines()]
    assert done.out.splitlines()[-1] == f"{len(rows)} predictions: out/rows.jsonl"
    assert len(rows) > 3
    assert {row["label"] for row in rows} == set(LABELS)
    for row in rows:
        assert list(row["probabilities"]) == LABELS
        assert sum(row["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)


def test_a_classifier_does_not_need_what_it_started_from(
    classifier: Path, folder: Path, pretrained: Path
) -> None:
    hidden = pretrained.parent.rename(pretrained.parents[1] / "hidden")
    config, last = classifier.parents[1] / "config.yaml", classifier.parent / "last.ckpt"
    try:
        tested = here("test", "--ckpt_path", classifier, cwd=folder)
        words = ["fit", "--config", config, "--ckpt_path", last, "--trainer.max_steps", 31]
        resumed = here(*words, "--trainer.val_check_interval", 1, cwd=folder)
    finally:
        hidden.rename(pretrained.parent)
    assert tested.code == 0, tested.err
    assert resumed.code == 0, resumed.err
    assert "learnt in 31 steps: " in resumed.out


def test_a_classifier_in_python(classifier: Path) -> None:
    import lightformer

    task = lightformer.load(classifier)
    said = task.classify(["a fine and lovely thing", "a dull and broken mess"])
    assert [row["label"] for row in said] == ["good", "bad"]
