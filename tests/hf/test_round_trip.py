"""In and out again: the same bits, and a folder that `from_pretrained` loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers

from lightformer.exchange import export_hf, import_hf
from tests.hf.measuring import measure
from tests.hf.theirs import CASES, all_cases, batch, scores, theirs, transformers

WORDS = ["<pad>", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(5, 37))]


def tokenizer_file(folder: Path) -> Path:
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.add_special_tokens(WORDS[:5])
    inner.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@pytest.mark.parametrize("case", all_cases())
@torch.no_grad()
def test_the_same_bits_come_out(case: str, tmp_path: Path) -> None:
    model = theirs(case)
    source, target = tmp_path / "in", tmp_path / "out"
    model.save_pretrained(source)
    import_hf(source, tmp_path / "ours")
    folder = export_hf(tmp_path / "ours" / "model.ckpt", target)
    assert folder.architecture == type(model).__name__
    assert measure(case).same_bits
    loader = getattr(transformers, f"AutoModel{auto(case)}")
    again, info = loader.from_pretrained(target, output_loading_info=True)
    assert not any(info.values())
    given = batch(again.eval(), "right")
    one, two = scores(model(**given)), scores(again(**given))
    assert all(one[name].equal(two[name]) for name in one)
    assert again.config.id2label == model.config.id2label


def auto(case: str) -> str:
    head = CASES[case][1]
    named = {"Model": "", "LMHeadModel": "ForCausalLM"}
    return named.get(head, head)


@torch.no_grad()
def test_the_tokenizer_comes_along(tmp_path: Path) -> None:
    model = theirs("bert-classes")
    model.save_pretrained(tmp_path / "in")
    text = tokenizer_file(tmp_path / "in").read_text()
    task = import_hf(tmp_path / "in", tmp_path / "ours")
    assert task.tokenizer is not None
    assert task.vocabulary.labels == ("bad", "so-so", "good")
    assert (task.vocabulary.pad_id, task.vocabulary.mask_id) == (0, 4)
    assert task.classify(["w9 w8"])[0]["label"] in task.vocabulary.labels
    export_hf(tmp_path / "ours" / "model.ckpt", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "tokenizer.json").read_text()) == json.loads(text)
    back = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert back("w9 w8", add_special_tokens=False)["input_ids"] == [9, 8]
    assert (back.mask_token, back.cls_token, back.pad_token) == ("[MASK]", "[CLS]", "<pad>")


@torch.no_grad()
def test_sharded_folders(tmp_path: Path) -> None:
    model = theirs("llama-clm-grouped")
    model.save_pretrained(tmp_path / "in", max_shard_size="20KB")
    assert len(list((tmp_path / "in").glob("*.safetensors"))) > 2
    import_hf(tmp_path / "in", tmp_path / "ours")
    export_hf(tmp_path / "ours" / "model.ckpt", tmp_path / "out")
    after = load_file(tmp_path / "out" / "model.safetensors")
    assert all(after[name].equal(value) for name, value in model.state_dict().items())


@torch.no_grad()
def test_half_precision_stays(tmp_path: Path) -> None:
    model = theirs("llama-clm-tied").bfloat16()
    model.save_pretrained(tmp_path / "in")
    import_hf(tmp_path / "in", tmp_path / "ours")
    export_hf(tmp_path / "ours" / "model.ckpt", tmp_path / "out")
    after = load_file(tmp_path / "out" / "model.safetensors")
    assert {value.dtype for value in after.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"


@torch.no_grad()
def test_a_model_without_padding_stays_one(tmp_path: Path) -> None:
    model = theirs("gpt2-classes", pad_token_id=None)
    model.save_pretrained(tmp_path / "in")
    file = tokenizer_file(tmp_path / "in")
    file.write_text(file.read_text().replace("<pad>", "w0"))
    import_hf(tmp_path / "in", tmp_path / "ours")
    export_hf(tmp_path / "ours" / "model.ckpt", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["pad_token_id"] is None
    assert "pad_token" not in json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    ids = torch.tensor([[5, 6, 7, 0]])
    assert again(ids).logits.equal(model(ids).logits)
