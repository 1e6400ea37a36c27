"""Special tokens: what a folder says of them, and not only how they are spelt; what frames a text, and what ends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Inner
from tokenizers import models, pre_tokenizers, processors

import lightformer
from lightformer.errors import CheckpointError
from lightformer.exchange import export_hf, import_hf
from lightformer.generation import Sampling
from lightformer.tasks import CausalLM, Encoder
from lightformer.tokenizer import Tokenizer
from tests.hf.test_folders import BERT, LLAMA, VOCABULARY, folder_of, settle

WORDS = ["</s>", "<blank>", "<s>", "<stop>", "<turn>", *(f"w{i}" for i in range(5, 23))]


def write_tokenizer(
    folder: Path, template: str | None = "<s> $A", words: list[str] = WORDS
) -> None:
    ids = {word: number for number, word in enumerate(words)}
    inner = Inner(models.WordLevel(ids, unk_token=words[1]))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.add_special_tokens(words[:5])
    if template is not None:
        special = [(word, ids[word]) for word in words[:5] if word in template]
        inner.post_processor = processors.TemplateProcessing(
            single=template, pair=f"{template} $B", special_tokens=special
        )
    inner.save(str(folder / "tokenizer.json"))


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """A folder of a model that ends its texts with any of three tokens."""
    torch.manual_seed(1)
    folder = folder_of(CausalLM(False, vocabulary=VOCABULARY, backbone=LLAMA), tmp_path)
    settle(
        folder,
        pad_token_id=None,
        bos_token_id=2,
        eos_token_id=[3, 4],
        cls_token_id=None,
        sep_token_id=None,
    )
    generation = {
        "bos_token_id": 2,
        "eos_token_id": [3, 4, 9],
        "temperature": 0.6,
        "do_sample": True,
    }
    (folder / "generation_config.json").write_text(json.dumps(generation))
    write_tokenizer(folder)
    return folder


def ids_of(vocabulary: Any) -> dict[str, int | None]:
    names = ("pad_id", "unk_id", "cls_id", "sep_id", "mask_id", "eos_id")
    return {name: getattr(vocabulary, name) for name in names}


def test_ids_of_the_model_come_before_how_tokens_are_spelt(llama: Path) -> None:
    known = lightformer.load(llama).vocabulary
    assert (known.cls_id, known.sep_id) == (2, None)  # "</s>" is there, but the template has none
    assert (known.eos_id, known.stop_ids, known.prompt_ids) == (3, (4, 9), (2,))
    (llama / "generation_config.json").unlink()
    known = lightformer.load(llama).vocabulary
    assert (known.eos_id, known.stop_ids) == (3, (4,))


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("config.json", {"mask_token_id": 7, "pad_token_id": 4}),
        ("special_tokens_map.json", {"mask_token": {"content": "w7"}, "pad_token": "<turn>"}),
        ("tokenizer_config.json", {"mask_token": "w7", "pad_token": "<turn>"}),
    ],
)
def test_each_file_is_asked(tmp_path: Path, file: str, said: dict[str, Any]) -> None:
    write_tokenizer(tmp_path, "<stop> $A <turn>")
    spelt = Tokenizer.from_file(tmp_path / "tokenizer.json").vocabulary
    assert (spelt.mask_id, spelt.pad_id, spelt.cls_id, spelt.sep_id) == (None, 0, 3, 4)
    (tmp_path / file).write_text(json.dumps(said))
    named = Tokenizer.from_file(tmp_path / "tokenizer.json").vocabulary
    assert (named.mask_id, named.pad_id, named.eos_id) == (7, 4, 0)
    if file != "tokenizer_config.json":  # which is asked last
        others = {"mask_token": "w9", "pad_token": "w9", "eos_token": "w9"}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(others))
        named = Tokenizer.from_file(tmp_path / "tokenizer.json").vocabulary
        assert (named.mask_id, named.pad_id, named.eos_id) == (7, 4, 9)


@pytest.mark.parametrize("said", [{"cls_token": 5.0}, {"cls_token": "?"}])
def test_what_makes_no_sense_says_nothing(tmp_path: Path, said: Any) -> None:
    write_tokenizer(tmp_path, None)
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(said))
    known = Tokenizer.from_file(tmp_path / "tokenizer.json").vocabulary
    assert (known.cls_id, known.sep_id) == (2, 0)


def test_a_tokenizer_may_say_that_it_has_no_such_token(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, None)
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"sep_token": None}))
    known = Tokenizer.from_file(tmp_path / "tokenizer.json").vocabulary
    assert (known.cls_id, known.sep_id, known.eos_id) == (2, None, 0)
    (tmp_path / "config.json").write_text(json.dumps({"sep_token_id": None, "bos_token_id": 2}))
    known = Tokenizer.from_file(tmp_path / "tokenizer.json").vocabulary
    assert (known.cls_id, known.sep_id) == (None, None)  # what a model begins with frames nothing


@pytest.mark.parametrize(
    "file", ["generation_config.json", "special_tokens_map.json", "tokenizer_config.json"]
)
def test_a_broken_file_is_named(tmp_path: Path, file: str) -> None:
    write_tokenizer(tmp_path)
    for text, reason in (
        ("{", "is broken JSON: .*"),
        ("[1]", "must be a JSON object, but is list"),
    ):
        (tmp_path / file).write_text(text)
        with pytest.raises(CheckpointError, match=rf"{file} {reason}\."):
            Tokenizer.from_file(tmp_path / "tokenizer.json")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("chat_template.jinja", b"\xff", r"cannot be read as text \('utf-8' codec .*\)"),
        ("tokenizer.json", b"\xff", r"is no tokenizer of the tokenizers library \('utf-8' .*\)"),
        ("tokenizer.json", b"{}", r"is no tokenizer of the tokenizers library \(Model missing.*\)"),
    ],
)
def test_a_broken_file_beside_a_model_is_named(
    llama: Path, file: str, content: bytes, reason: str
) -> None:
    (llama / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"^{llama / file} {reason}\.$"):
        lightformer.load(llama)


def test_a_checkpoint_keeps_what_only_the_folder_said(llama: Path, tmp_path: Path) -> None:
    (llama / "special_tokens_map.json").write_text(
        json.dumps({"mask_token": "w7", "unk_token": "<blank>"})
    )
    task = import_hf(llama, tmp_path / "ours")
    beside = Tokenizer.from_file(tmp_path / "ours" / "tokenizer.json")
    again = lightformer.load(tmp_path / "ours" / "model.ckpt")
    assert ids_of(beside.vocabulary) == ids_of(task.vocabulary) == ids_of(again.vocabulary)
    assert ids_of(again.tokenizer.vocabulary) == ids_of(task.vocabulary)
    assert task.vocabulary.mask_id == 7
    tuned = CausalLM(
        False, vocabulary=beside.vocabulary, init_from=str(tmp_path / "ours" / "model.ckpt")
    )
    assert tuned.vocabulary == task.vocabulary


def test_a_tokenizer_that_says_all_by_itself_has_no_file_beside_it(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, None, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS[5:]])
    (tmp_path / "out").mkdir()
    Tokenizer.from_file(tmp_path / "tokenizer.json").save(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tokenizer.json"]


def test_ids_and_generation_come_out_as_they_went_in(llama: Path, tmp_path: Path) -> None:
    import_hf(llama, tmp_path / "ours")
    export_hf(tmp_path / "ours" / "model.ckpt", tmp_path / "again")
    before, after = (
        json.loads((path / "config.json").read_text()) for path in (llama, tmp_path / "again")
    )
    names = [name for name in before if name.endswith("_token_id")]
    assert len(names) >= 5
    assert {name: after[name] for name in names} == {name: before[name] for name in names}
    one, two = (
        json.loads((p / "generation_config.json").read_text()) for p in (llama, tmp_path / "again")
    )
    assert one == two
    assert lightformer.load(tmp_path / "again").vocabulary == lightformer.load(llama).vocabulary


@torch.no_grad()
def test_generation_stops_at_each_of_the_ends(llama: Path) -> None:
    task = lightformer.load(llama)
    assert isinstance(task, CausalLM)
    prompt = torch.tensor([[2, 7, 8]])
    for end in (3, 4, 9, 11):
        weight = task.head.decoder.weight
        weight.zero_()
        states = task.hidden_states({"input_ids": prompt})[0, -1]
        weight[end] = states  # the likeliest of all, to begin with
        found = task.generate(prompt, 5, Sampling(temperature=0))[0].tolist()
        assert found[0] == end
        assert (found[1:] == [task.vocabulary.pad_id] * 4) == (end != 11)


def test_a_row_is_framed_as_the_template_says(tmp_path: Path) -> None:
    folder = folder_of(Encoder("first", True, vocabulary=VOCABULARY, backbone=BERT), tmp_path)
    for template, row in (
        ("<s> $A </s>", [2, 7, 8, 0]),
        ("<s> $A", [2, 7, 8]),
        ("$A <turn>", [7, 8, 4]),
    ):
        write_tokenizer(folder, template)
        task = lightformer.load(folder)
        assert task.vocabulary.framed(task.tokenizer.encode("w7 w8")) == row
        assert task.vocabulary.framed(task.tokenizer.encode("w7 w8 w9 w9"), len(row)) == row


def test_a_frame_of_more_than_one_token_is_refused(tmp_path: Path) -> None:
    folder = folder_of(Encoder("first", True, vocabulary=VOCABULARY, backbone=BERT), tmp_path)
    for template, words in (
        ("<s> <turn> $A </s>", "<s> <turn> in front of a text and </s>"),
        ("$A <turn> </s>", "nothing in front of a text and <turn> </s>"),
    ):
        write_tokenizer(folder, template)
        with pytest.raises(CheckpointError) as caught:
            lightformer.load(folder)
        assert str(caught.value) == (
            f"{folder}/tokenizer.json puts {words} behind it, and lightformer one token at most on each side."
        )


def test_a_tokenizer_that_drops_most_letters(tmp_path: Path) -> None:
    folder = folder_of(Encoder("first", True, vocabulary=VOCABULARY, backbone=BERT), tmp_path)
    inner = Inner(models.BPE({"G": 0, "C": 1, "A": 2, "<end>": 3, "<begin>": 4}, []))
    inner.add_special_tokens(["<begin>", "<end>"])
    inner.post_processor = processors.TemplateProcessing(
        single="<begin> $A <end>", special_tokens=[("<begin>", 4), ("<end>", 3)]
    )
    inner.save(str(folder / "tokenizer.json"))
    task = lightformer.load(folder)
    assert task.vocabulary.framed(task.tokenizer.encode("GAC")) == inner.encode("GAC").ids
    assert inner.encode("a b").ids == [4, 3]
