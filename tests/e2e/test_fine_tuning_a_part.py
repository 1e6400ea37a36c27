"""A folder of `transformers`, fine-tuned with configs/finetune.yaml: all of it, its heads, or an adapter."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Inner
from tokenizers import models, pre_tokenizers

import lightformer
from lightformer import BackboneConfig, block, checkpoint, position, pretrained
from lightformer.exchange import export_hf
from lightformer.tasks import MaskedLM
from lightformer.tokenizer import Tokenizer
from tests.e2e.harness import ROOT, TINY, Done, bits, here, run_folder, same_bits, scalars

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a fine and lovely thing dull broken mess number".split()
SMALL = [*TINY[TINY.index("--data.batch_size") :], "--trainer.max_steps", "4"]
STEADY = (
    "--model.schedule constant --model.optimizer.lr 5e-3 --trainer.val_check_interval 2".split()
)
LORA = ["--model.adapter", "lora", "--model.adapter.rank", "3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT with its tokenizer, as `transformers` keeps it."""
    folder = tmp_path_factory.mktemp("bert")
    inner = Inner(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = Tokenizer(inner)
    config = BackboneConfig(
        hidden_size=18,
        num_layers=2,
        num_heads=3,
        max_seq_len=17,
        num_segments=2,
        dropout=0.2,
        norm_embeddings=True,
        position=position.learned(),
        block=block.post_norm(),
    )
    task = MaskedLM(vocabulary=tokenizer.vocabulary, backbone=config)
    task.tokenizer = tokenizer
    content = {"state_dict": task.state_dict(), "hyper_parameters": dict(task.hparams)}
    task.on_save_checkpoint(content)
    torch.save(content, folder / "a.ckpt")
    tokenizer.save(folder)
    export_hf(folder / "a.ckpt", folder / "model")
    return folder / "model"


def fit(folder: Path, reviews: Path, *more: Any) -> tuple[Done, dict[str, Any], Path]:
    """A short run, the checkpoint that it left, and its folder."""
    config = ["--config", ROOT / "configs" / "finetune.yaml", "--model.init_from", folder]
    data = ["--data", "LabelledFiles", "--data.train", reviews, "--data.examples.seq_len", 17]
    done = here("fit", *config, *data, *SMALL, *more, cwd=reviews.parent)
    run = run_folder(done, reviews.parent)
    return done, torch.load(run / "checkpoints" / "last.ckpt", weights_only=True), run


def learnt(checkpoint: dict[str, Any], folder: Path) -> set[str]:
    """Names of what is not as it is in the folder."""
    before = lightformer.load(folder).state_dict()
    after = checkpoint["state_dict"]
    return {k for k, v in after.items() if k not in before or not v.equal(before[k])}


def test_all_is_taken_from_the_folder(
    folder: Path, reviews: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        _, found, run = fit(folder, reviews)
    assert f"tokenizer: {folder / 'tokenizer.json'}" in caplog.messages
    text = (folder / "tokenizer.json").read_text()
    assert json.loads(found["lightformer"]["tokenizer"]) == json.loads(text)
    assert found["hyper_parameters"]["backbone"]["dropout"] == 0.2
    assert found["hyper_parameters"]["backbone"]["hidden_size"] == 18
    assert len(learnt(found, folder)) == len(found["state_dict"])
    assert scalars(run, "train/lr")[0] == pytest.approx(2e-5 / 42)


def test_a_tokenizer_of_another_model_is_refused(folder: Path, reviews: Path) -> None:
    other = reviews.parent / "tokenizer.json"
    other.write_text((folder / "tokenizer.json").read_text().replace('"dull"', '"dusk"'))
    done = here(
        "fit", "--config", ROOT / "configs" / "finetune.yaml", "--model.init_from", folder,
        "--data", "LabelledFiles", "--data.train", reviews, "--data.tokenizer.file", other,
        cwd=reviews.parent,
    )  # fmt: skip
    assert done.code == 4
    assert f"{folder} was trained with the tokenizer " in done.error


def test_a_folder_without_a_tokenizer_is_refused(
    folder: Path, reviews: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        (bare / name).symlink_to(folder / name)
    config = ["--config", ROOT / "configs" / "finetune.yaml", "--model.init_from", bare]
    done = here("fit", *config, cwd=tmp_path)
    assert done.error == (
        f"error: A model that starts from {bare} needs its tokenizer, but there is no {bare / 'tokenizer.json'}; "
        "set data.tokenizer.file."
    )


def test_heads_alone(folder: Path, reviews: Path) -> None:
    _, found, _ = fit(folder, reviews, "--model.freeze", '["backbone.*"]')
    assert learnt(found, folder) == {
        "pooler.dense.weight",
        "pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    }
    assert found["hyper_parameters"]["freeze"] == ["backbone.*"]


def test_an_adapter_resumed_tested_and_exported(folder: Path, reviews: Path) -> None:
    _, found, run = fit(folder, reviews, *LORA)
    names = learnt(found, folder)
    assert all(".adapter." in name for name in names if name.startswith("backbone."))
    assert len([name for name in names if name.startswith("backbone.")]) == 2 * 2 * 2
    last, cwd = run / "checkpoints" / "last.ckpt", reviews.parent
    words = ["fit", "--config", run / "config.yaml", "--ckpt_path", last]
    done = here(*words, "--trainer.max_steps", 6, cwd=cwd)
    assert done.code == 0, done.err
    assert here("validate", "--ckpt_path", last, cwd=cwd).code == 0
    assert here("export-hf", last, "--output", cwd / "out", cwd=cwd).code == 0
    plain, model = lightformer.load(cwd / "out"), lightformer.load(last)
    ids = torch.arange(12).view(2, 6)
    torch.testing.assert_close(plain(ids), model(ids), rtol=1e-5, atol=1e-5)
    done, again, _ = fit(last, reviews)
    assert not any(".adapter." in name for name in again["state_dict"])
    torch.testing.assert_close(
        again["state_dict"]["backbone.blocks.0.attention.query.weight"],
        plain.state_dict()["backbone.blocks.0.attention.query.weight"],
        rtol=0.0,
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (["--model.freeze", '["backbone.*", "pooler.*"]'], r"classifier\..*"),
        (LORA, r"backbone\..*\.adapter\..*|pooler\..*|classifier\..*"),
        (["--model.layer_lr_decay", "0.5"], ".*"),
    ],
    ids=["freeze", "adapter", "layer_lr_decay"],
)
def test_a_resumed_run_moves_the_same_and_ends_with_the_same_bits(
    folder: Path, reviews: Path, words: list[str], pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    words = [*words, *STEADY]
    *_, run = fit(folder, reviews, *words)
    whole = bits(run / "checkpoints" / "last.ckpt")
    _, middle, run = fit(folder, reviews, *words, "--trainer.max_steps", 2)
    last = run / "checkpoints" / "last.ckpt"
    resume = ["fit", "--config", run / "config.yaml", "--ckpt_path", last]
    with caplog.at_level("INFO"):
        done = here(
            *resume, "--trainer.max_steps", 4, "--model.init_from", "other", cwd=reviews.parent
        )
    assert done.code == 0, done.err
    assert f"init_from other is not used: {last} has what was taken over" in caplog.messages
    assert same_bits(bits(last), whole)
    before = middle["state_dict"]
    names = {name for name in before if not before[name].equal(whole[name])}
    assert names == {name for name in before if re.fullmatch(pattern, name)}


@pytest.mark.parametrize("kind", ["folder", "checkpoint"])
def test_what_a_run_starts_from_is_read_once(
    folder: Path, reviews: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = folder if kind == "folder" else folder.parent / "a.ckpt"
    read, check = [], checkpoint._check_finite

    def counted(path: Path, state: dict[str, torch.Tensor]) -> None:
        read.append(path)
        check(path, state)

    monkeypatch.setattr(checkpoint, "_check_finite", counted)
    fit(start, reviews, "--trainer.max_steps", 1)
    assert read.count(start) == 1
    assert not pretrained._ahead
    with pytest.raises(AssertionError, match=r"nothing\.csv"):
        fit(start, reviews.parent / "nothing.csv")
    assert not pretrained._ahead  # the next run reads what is there then


def test_layers_with_rates_of_their_own(folder: Path, reviews: Path) -> None:
    _, found, _ = fit(folder, reviews, "--model.layer_lr_decay", 0.5)
    groups = found["optimizer_states"][0]["param_groups"]
    assert {group["lr_share"] for group in groups} == {1.0, 0.5, 0.25, 0.125}
    assert {group["initial_lr"] for group in groups} == {2e-5 * 0.5**n for n in range(4)}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--model.freeze", '["bakbone.*"]'], "Did you mean 'backbone.*'"),
        ([*LORA, "--model.adapter.targets", '["*.qurey"]'], "Did you mean '*.query'"),
        (["--model.adapter", "lara"], "there is no adapter 'lara'. Did you mean 'lora'?"),
        (["--model.adapter", "lora", "--model.adapter.rnk", "3"], "Did you mean 'rank'?"),
        (["--model.layer_lr_decay", "1.5"], "layer_lr_decay must be above 0 and at most 1, "),
    ],
)
def test_slips_of_the_pen(folder: Path, reviews: Path, words: list[str], sentence: str) -> None:
    config = ["--config", ROOT / "configs" / "finetune.yaml", "--model.init_from", folder]
    data = ["--data", "LabelledFiles", "--data.train", reviews]
    done = here("fit", *config, *data, *words, cwd=reviews.parent)
    assert done.code == 2
    assert sentence in done.error
