"""Folders that say one thing and hold another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lightformer
from lightformer.cli.main import main
from lightformer.errors import CheckpointError
from lightformer.exchange import export_hf, import_hf
from lightformer.tasks import CausalLM, MaskedLM, Task
from tests.hf.test_folders import BERT, LLAMA, VOCABULARY, folder_of, settle

IDS = torch.tensor([[5, 7, 6, 9, 8, 5, 10]])


def scores(folder: Path) -> Any:
    with torch.no_grad():
        return lightformer.load(folder).eval()(IDS)


@pytest.mark.parametrize(
    ("cls", "backbone", "own"),
    [
        (CausalLM, LLAMA, "lm_head.weight"),
        (MaskedLM, BERT, "cls.predictions.decoder.weight"),
    ],
)
def test_a_head_with_weights_of_its_own_is_read_though_it_is_said_to_be_tied(
    cls: type[Task], backbone: Any, own: str, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    folder = folder_of(cls(tied=False, vocabulary=VOCABULARY, backbone=backbone), tmp_path)
    expected = scores(folder)
    settle(folder, tie_word_embeddings=True)
    assert torch.equal(scores(folder), expected)
    import_hf(folder, tmp_path / "ours")
    export_hf(tmp_path / "ours" / "model.ckpt", tmp_path / "theirs")
    before, after = (load_file(f / "model.safetensors") for f in (folder, tmp_path / "theirs"))
    assert torch.equal(before[own], after[own])

    name = next(
        name for name in before if name.endswith(("embed_tokens.weight", "word_embeddings.weight"))
    )
    save_file({**before, own: before[name].clone()}, folder / "model.safetensors")
    assert lightformer.load(folder).hparams["tied"]  # an equal one is the same one


def test_a_bias_of_its_own_is_read_too(tmp_path: Path) -> None:
    torch.manual_seed(1)
    folder = folder_of(MaskedLM(tied=False, vocabulary=VOCABULARY, backbone=BERT), tmp_path)
    settle(folder, tie_word_embeddings=True)
    tensors, plain = load_file(folder / "model.safetensors"), scores(folder)
    moved = torch.arange(VOCABULARY.size, dtype=torch.float32)
    tensors["cls.predictions.decoder.weight"] = tensors[
        "bert.embeddings.word_embeddings.weight"
    ].clone()
    save_file(tensors, folder / "model.safetensors")
    tied = scores(folder)
    tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"] + moved
    save_file(tensors, folder / "model.safetensors")
    torch.testing.assert_close(scores(folder), tied + moved)
    assert not torch.equal(plain, tied)


@pytest.mark.parametrize(
    ("cls", "backbone", "said"), [(CausalLM, LLAMA, False), (MaskedLM, BERT, True)]
)
def test_a_model_that_looks_the_other_way_is_refused(
    cls: type[Task], backbone: Any, said: bool, tmp_path: Path
) -> None:
    folder = folder_of(cls(vocabulary=VOCABULARY, backbone=backbone), tmp_path)
    settle(folder, is_causal=not said)
    lightformer.load(folder)
    settle(folder, is_causal=said)
    with pytest.raises(CheckpointError) as raised:
        lightformer.load(folder)
    assert str(raised.value) == (
        f"{folder}/config.json has is_causal {said}, and lightformer can read such a model only with {not said}."
    )


def test_a_name_that_no_file_can_have_is_no_checkpoint() -> None:
    with pytest.raises(CheckpointError) as raised:
        lightformer.load("x" * 300)
    assert str(raised.value) == f"{'x' * 300} cannot be read (File name too long)."


@pytest.mark.parametrize(
    "words", [["generate", "x" * 300, "--prompt", "a"], ["fit", "--config", "x" * 300]]
)
def test_a_name_that_is_too_long_is_said_to_be(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)  # where there are no plugins to load
    assert main(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: 'xxxxxxxxxxxx...xxxxxxxxxxxxx' is too long for the name of a file; give another."
    )
