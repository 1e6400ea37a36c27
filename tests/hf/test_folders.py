"""Folders of `transformers` without the library: what is read, what is written, and what is refused, by a sentence."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import lightformer
from lightformer import (
    Backbone,
    BackboneConfig,
    attention,
    block,
    feedforward,
    norm,
    plugins,
    position,
    registry,
)
from lightformer.cli.main import main
from lightformer.errors import CheckpointError, StorageError
from lightformer.exchange import export_hf, import_hf
from lightformer.tasks import CausalLM, Encoder, MaskedLM, SequenceClassification, Task
from lightformer.training.checkpoint_io import AtomicCheckpointIO
from lightformer.vocabulary import Vocabulary

VOCABULARY = Vocabulary(size=23, pad_id=0, cls_id=1, sep_id=2, mask_id=3, labels=("no", "yes"))
BERT = BackboneConfig(
    hidden_size=18,
    num_layers=2,
    num_heads=3,
    intermediate_size=29,
    max_seq_len=17,
    num_segments=2,
    norm_embeddings=True,
    attention=attention.mha(),
    position=position.learned(),
    feedforward=feedforward.mlp(),
    norm=norm.layer_norm(eps=1e-12),
    block=block.post_norm(),
)
LLAMA = BackboneConfig(
    hidden_size=18,
    num_layers=2,
    num_heads=3,
    intermediate_size=29,
    max_seq_len=17,
    attention=attention.mha(bias=False),
    position=position.rope(),
    feedforward=feedforward.gated(),
    norm=norm.rms_norm(),
)


def checkpoint(task: Task, path: Path) -> Path:
    """Writes an untrained model as a checkpoint."""
    for parameter in task.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    content: dict[str, Any] = {
        "state_dict": task.state_dict(),
        "hyper_parameters": dict(task.hparams),
    }
    task._trainer = None
    task.on_save_checkpoint(content)
    AtomicCheckpointIO().save_checkpoint(content, path)
    return path


def folder_of(task: Task, tmp_path: Path) -> Path:
    export_hf(checkpoint(task, tmp_path / "a.ckpt"), tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("task", "architecture"),
    [
        (MaskedLM(vocabulary=VOCABULARY, backbone=BERT), "BertForMaskedLM"),
        (MaskedLM(vocabulary=VOCABULARY, backbone=BERT, tied=False), "BertForMaskedLM"),
        (
            SequenceClassification("first", True, vocabulary=VOCABULARY, backbone=BERT),
            "BertForSequenceClassification",
        ),
        (CausalLM(vocabulary=VOCABULARY, backbone=LLAMA), "LlamaForCausalLM"),
        (Encoder("first", True, vocabulary=VOCABULARY, backbone=BERT), "BertModel"),
    ],
)
@torch.no_grad()
def test_out_and_in_again(task: Task, architecture: str, tmp_path: Path) -> None:
    folder = folder_of(task, tmp_path)
    settings = json.loads((folder / "config.json").read_text())
    assert settings["architectures"] == [architecture]
    back = lightformer.load(folder)
    assert type(back) is type(task)
    ids = torch.randint(4, 23, (2, 11))
    assert back(ids).equal(task.eval()(ids))
    assert back.vocabulary.labels == (("no", "yes") if "Sequence" in architecture else ())


@torch.no_grad()
def test_names_of_old_folders(tmp_path: Path) -> None:
    task = MaskedLM(vocabulary=VOCABULARY, backbone=BERT)
    folder = folder_of(task, tmp_path)

    def old(name: str) -> str:
        name = re.sub(r"LayerNorm\.weight$", "LayerNorm.gamma", name)
        return re.sub(r"LayerNorm\.bias$", "LayerNorm.beta", name)

    change(folder, lambda state: {old(name): value for name, value in state.items()})
    ids = torch.randint(4, 23, (2, 11))
    assert lightformer.load(folder)(ids).equal(task.eval()(ids))


def change(folder: Path, to: Any) -> None:
    save_file(to(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def without(*names: str) -> Any:
    return lambda state: {k: v for k, v in state.items() if k not in names}


QUERY = "bert.encoder.layer.1.attention.self.query.weight"
NORM = "bert.encoder.layer.0.output.LayerNorm.bias"


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        lightformer.load(folder)
    return str(caught.value).replace(f"{folder}/", "").replace(str(folder), "FOLDER")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(MaskedLM(vocabulary=VOCABULARY, backbone=BERT), tmp_path)


def settle(folder: Path, **settings: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def test_tensors_that_are_missing_or_left_over(folder: Path) -> None:
    whole = load_file(folder / "model.safetensors")
    change(folder, without(QUERY, NORM))
    assert refusal(folder) == f"FOLDER does not fit the model: it lacks {NORM}, {QUERY}."
    save_file({**whole, "extra.weight": torch.zeros(2)}, folder / "model.safetensors")
    assert (
        refusal(folder) == "FOLDER holds tensors for which this model has no place: extra.weight."
    )
    save_file({**whole, QUERY: torch.zeros(2, 18)}, folder / "model.safetensors")
    assert refusal(folder) == (
        f"FOLDER does not fit the model: {QUERY} has shape (2, 18) there, and (18, 18) here."
    )


def test_settings_that_have_no_counterpart(folder: Path) -> None:
    settle(folder, position_embedding_type="relative_key")
    assert refusal(folder) == (
        "config.json has position_embedding_type 'relative_key', and lightformer can read such a model only with "
        "'absolute'."
    )
    settle(folder, position_embedding_type="absolute", hidden_act="mish")
    assert refusal(folder).startswith(
        "config.json has hidden_act 'mish', and lightformer has gelu, "
    )
    settle(folder, hidden_act="gelu", num_attention_heads=5)
    assert refusal(folder) == (
        "config.json makes no sense: hidden_size must be a multiple of num_heads, but 18 is not one of 5."
    )
    settle(folder, num_attention_heads=3, model_type="bart")
    assert refusal(folder).startswith(
        "config.json is of the model_type 'bart', and lightformer reads bert, "
    )
    settle(folder, model_type="bert", architectures=["BertLMHeadModel"])
    assert refusal(folder).startswith(
        "config.json is of the class BertLMHeadModel, and lightformer reads "
    )


def test_dropout_that_lightformer_has_nowhere(folder: Path) -> None:
    """It changes no result, but a training that goes on would not be the same."""
    gpt2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 18, "n_head": 3}
    settle(folder, **gpt2, embd_pdrop=0.0, resid_pdrop=0.25)
    assert refusal(folder) == (
        "config.json has embd_pdrop 0.0, and lightformer can read such a model only with 0.25."
    )
    file = folder / "config.json"
    file.write_text(file.read_text().replace('"embd_pdrop"', '"not_said"'))
    assert refusal(folder).startswith("config.json has embd_pdrop 0.1, and")
    modern = {"model_type": "modernbert", "architectures": ["ModernBertModel"]}
    settle(folder, **modern, embedding_dropout=0.25)
    assert refusal(folder) == (
        "config.json has embedding_dropout 0.25, and lightformer can read such a model only with 0.0."
    )
    settle(folder, embedding_dropout=0.0, attention_dropout=0.5)
    assert refusal(folder).startswith("config.json has attention_dropout 0.5, and")


def test_a_model_without_segments_is_none_of_these(folder: Path, tmp_path: Path) -> None:
    settle(folder, type_vocab_size=0)
    assert refusal(folder) == (
        "config.json has type_vocab_size 0, but each token of such a model has a type: type_vocab_size (num_segments "
        "in lightformer) must be at least 1."
    )
    shutil.rmtree(folder)
    task = MaskedLM(vocabulary=VOCABULARY, backbone=replace(BERT, num_segments=0))
    assert "(config.json has type_vocab_size 0, but each token of such a model has a type" in (
        obstacle(task, tmp_path, "bert")
    )


@torch.no_grad()
def test_padding_is_not_counted_where_a_position_is_kept_for_it(tmp_path: Path) -> None:
    known = replace(VOCABULARY, pad_id=1, cls_id=2)
    roberta = replace(BERT, num_segments=1, position=position.learned(offset=2))
    task = MaskedLM(vocabulary=known, backbone=roberta).eval()
    ids = torch.randint(4, 23, (2, 11))
    ids[0, :4] = 1
    counted = torch.arange(11) - 4
    told = {"position_ids": torch.stack((counted.clamp(min=-1), torch.arange(11)))}
    assert task(ids).equal(task(ids, **told))
    plain = MaskedLM(vocabulary=known, backbone=BERT).eval()
    assert plain(ids).equal(plain(ids, position_ids=torch.arange(11)[None]))


def test_the_family_that_it_came_from_is_the_one_it_is_written_as(
    folder: Path, tmp_path: Path
) -> None:
    known = replace(VOCABULARY, pad_id=1, cls_id=2)
    roberta = replace(BERT, num_segments=1, position=position.learned(offset=2))
    for family in ("roberta", "xlm-roberta"):
        place = tmp_path / family
        export_hf(
            checkpoint(MaskedLM(vocabulary=known, backbone=roberta), tmp_path / "r.ckpt"),
            place,
            family,
        )
        import_hf(place, tmp_path / f"{family}-ours")
        file = tmp_path / f"{family}-ours" / "model.ckpt"
        assert export_hf(file, tmp_path / f"{family}-out").family == family
        tuned = SequenceClassification(
            "first", True, vocabulary=replace(known, labels=("a", "b")), init_from=str(file)
        )
        again = checkpoint(tuned, tmp_path / "t.ckpt")
        assert export_hf(again, tmp_path / f"{family}-tuned").family == family
        assert lightformer.load(again).origin == lightformer.load(file).origin
        assert export_hf(file, tmp_path / f"{family}-other", "roberta").family == "roberta"
    import_hf(folder, tmp_path / "bert-ours")
    mean = Encoder(
        "first", True, init_from=str(tmp_path / "xlm-roberta-ours" / "model.ckpt"), vocabulary=known
    )
    assert (
        export_hf(checkpoint(mean, tmp_path / "m.ckpt"), tmp_path / "m").architecture
        == "XLMRobertaModel"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_size": "18"},
        {"hidden_act": ["gelu"]},
        {"vocab_size": "x"},
        {"vocab_size": 23.7},
        {"num_attention_heads": 0},
        {"num_hidden_layers": True},
        {"num_hidden_layers": 1_000_000},
        {"intermediate_size": [1]},
        {"max_position_embeddings": 3_000_000_000_000},
        {"layer_norm_eps": 10**400},
        {"layer_norm_eps": float("nan")},
        {"hidden_dropout_prob": 7},
        {"tie_word_embeddings": "no"},
        {"pad_token_id": "x"},
        {"pad_token_id": 1.5},
        {"pad_token_id": 23},
        {"pad_token_id": -1},
        {"architectures": 5},
        {"model_type": ["bert"]},
        {"quantization_config": {}},
    ],
    ids=repr,
)
def test_settings_of_the_wrong_type(folder: Path, settings: dict[str, Any]) -> None:
    settle(folder, **settings)
    assert refusal(folder).startswith("config.json ")


def test_sizes_are_compared_before_a_model_of_that_size_is_made(folder: Path) -> None:
    settle(folder, num_hidden_layers=9_999)
    assert re.fullmatch(
        r"config.json says that there are 9999 layers, but the folder has \d+ tensors\.",
        refusal(folder),
    )
    settle(folder, num_hidden_layers=2, hidden_size=3 * 2**28)
    assert "bert.embeddings.word_embeddings.weight has shape (23, 18) there" in refusal(folder)
    settle(folder, hidden_size=18, intermediate_size=2**31 - 1)
    assert "has shape (29, 18) there, and (2147483647, 18) here" in refusal(folder)
    with pytest.raises(CheckpointError, match=r"has shape \(29, 18\) there"):
        SequenceClassification(vocabulary=VOCABULARY, init_from=str(folder))


@pytest.mark.parametrize(
    "names",
    [
        ["no", "yes"],
        {"0": "no", "1": 5},
        {"0": "no", "2": "yes"},
        {"0": "no", "1": "no"},
        {"no": 0, "yes": 1},
    ],
)
def test_names_of_classes_that_are_none(tmp_path: Path, names: Any) -> None:
    task = SequenceClassification("first", True, vocabulary=VOCABULARY, backbone=BERT)
    folder = folder_of(task, tmp_path)
    settle(folder, id2label=names)
    assert re.fullmatch(r"config.json must have .* as id2label, but has .*\.", refusal(folder))
    settle(folder, id2label={"0": "score"})
    assert refusal(folder).startswith("config.json has one label alone (num_labels 1), whose score")
    settle(folder, id2label=None, classifier_dropout=7)
    assert refusal(folder) == (
        "config.json must have a number from 0 on and below 1 as classifier_dropout, but has 7."
    )
    settle(folder, classifier_dropout=None)
    assert lightformer.load(folder).vocabulary.labels == ("LABEL_0", "LABEL_1")


def test_what_changes_nothing_is_read(folder: Path) -> None:
    settle(folder, quantization_config=None)
    file = folder / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    (folder / "generation_config.json").mkdir()
    assert isinstance(lightformer.load(folder), MaskedLM)


def test_a_bare_encoder_without_a_pooler(tmp_path: Path) -> None:
    task = Encoder("first", True, vocabulary=VOCABULARY, backbone=BERT)
    folder = folder_of(task, tmp_path)
    change(folder, without("pooler.dense.weight", "pooler.dense.bias"))
    read = lightformer.load(folder)
    assert isinstance(read, Encoder)
    assert read.pooler.dense is None
    ids = torch.randint(4, 23, (2, 11))
    assert read(ids).equal(task.eval()(ids))


def test_a_head_that_is_not_known_is_left_where_one_starts(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder, lambda state: {**state, "qa_outputs.weight": torch.zeros(2, 18)})
    settle(folder, architectures=["BertForQuestionAnswering"])
    assert refusal(folder).startswith(
        "config.json is of the class BertForQuestionAnswering, and lightformer reads BertModel, "
    )
    with caplog.at_level("INFO"):
        task = SequenceClassification(vocabulary=VOCABULARY, init_from=str(folder))
    token = load_file(folder / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    assert task.backbone.embeddings.token.weight.equal(token)
    left = next(line for line in caplog.messages if line.startswith("left over there: "))
    assert "qa_outputs.weight" in left


@pytest.mark.parametrize("embedding_size", [None, 18])
@torch.no_grad()
def test_embeddings_as_wide_as_the_hidden_states(
    tmp_path: Path, embedding_size: int | None
) -> None:
    """ALBERT has a linear map behind them all the same."""
    shared = replace(BERT, num_layer_groups=1, embedding_size=embedding_size)
    task = MaskedLM(vocabulary=VOCABULARY, backbone=shared)
    folder = folder_of(task, tmp_path)
    name = "albert.encoder.embedding_hidden_mapping_in"
    assert load_file(folder / "model.safetensors")[f"{name}.weight"].equal(torch.eye(18))
    ids = torch.randint(4, 23, (2, 11))
    assert lightformer.load(folder)(ids).equal(task.eval()(ids))
    change(folder, lambda state: {**state, f"{name}.bias": torch.ones(18)})
    assert refusal(folder) == (
        f"FOLDER has a {name}.bias that changes the embeddings, and lightformer has such a map only where "
        "embedding_size is another than hidden_size."
    )


def test_tensors_that_a_class_needs(tmp_path: Path) -> None:
    """What would be filled at random is refused, whatever the settings say."""
    file = checkpoint(MaskedLM(vocabulary=VOCABULARY, backbone=BERT), tmp_path / "a.ckpt")
    content = torch.load(file, weights_only=True)
    del content["state_dict"]["backbone.blocks.1.attention.query.weight"]
    AtomicCheckpointIO().save_checkpoint(content, file)
    with pytest.raises(CheckpointError, match=f"needs tensors that this model has not: {QUERY}"):
        export_hf(file, tmp_path / "out")


def test_tensors_of_other_heads_are_left_where_they_are(folder: Path) -> None:
    """Published folders often name one head and hold two."""
    whole = load_file(folder / "model.safetensors")
    more = {
        "bert.pooler.dense.weight": torch.zeros(18, 18),
        "cls.seq_relationship.bias": torch.zeros(2),
    }
    save_file({**whole, **more}, folder / "model.safetensors")
    assert isinstance(lightformer.load(folder), MaskedLM)


def test_weights_that_are_no_numbers_as_they_are(folder: Path) -> None:
    change(folder, lambda state: {**state, QUERY: state[QUERY].to(torch.int8)})
    assert refusal(folder) == (
        f"FOLDER has {QUERY} as int8, but weights must be float32, float16, bfloat16 or float64."
    )


def test_files_that_are_no_such_files(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x07" * 100)
    assert re.fullmatch(r"model.safetensors is no whole safetensors file \(.*\)\.", refusal(folder))
    (folder / "model.safetensors").unlink()
    assert refusal(folder) == "FOLDER has no model.safetensors."
    (folder / "pytorch_model.bin").write_bytes(b"")
    assert "pytorch_model.bin is a pickle, which may run code and is not opened" in refusal(folder)
    index = folder / "model.safetensors.index.json"
    for name in (
        "../../etc/passwd.safetensors",
        "..",
        "",
        "a/b.safetensors",
        "m\0.safetensors",
        "\ud800.safetensors",
        "m.bin",
    ):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        assert refusal(folder).endswith(
            f"names {name!r}, which is no safetensors file in the folder itself."
        )
    index.write_text(json.dumps({"weight_map": {"a": "model-00001.safetensors"}}))
    assert refusal(folder) == "FOLDER lacks model-00001.safetensors, which its index names."
    (folder / "config.json").write_text("{")
    assert refusal(folder).startswith("config.json is broken JSON: ")


def obstacle(task: Task, tmp_path: Path, family: str | None = None) -> str:
    file = checkpoint(task, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError) as caught:
        export_hf(file, tmp_path / "out", family)
    assert not (tmp_path / "out").exists()
    return str(caught.value).replace(str(file), "a.ckpt")


def test_what_no_family_can_express(tmp_path: Path) -> None:
    capped = BackboneConfig(**{**vars(LLAMA), "attention": attention.mha(bias=False, softcap=5.0)})
    plain = "mha(bias=False, gate=None, qk_norm=None, sink=False, softcap={})"
    assert obstacle(CausalLM(vocabulary=VOCABULARY, backbone=capped), tmp_path) == (
        "No family of transformers can express a.ckpt. The nearest is llama, where this stands in the way: attention "
        f"of layer 0 is {plain.format(5.0)}, and for llama it is {plain.format(None)}; attention of layer 1 is "
        f"{plain.format(5.0)}, and for llama it is {plain.format(None)}."
    )
    mean = SequenceClassification("mean", vocabulary=VOCABULARY, backbone=BERT)
    assert obstacle(mean, tmp_path, "bert") == (
        "bert cannot express a.ckpt; this stands in the way: pooling is mean, and for bert it is first; pooler is "
        "False, and for bert it is True. Where no family is given, one that can is looked for."
    )
    assert obstacle(MaskedLM(vocabulary=VOCABULARY, backbone=BERT), tmp_path, "gpt2") == (
        "a.ckpt is a MaskedLM, for which gpt2 has no class that lightformer writes."
    )
    assert obstacle(MaskedLM(vocabulary=VOCABULARY, backbone=BERT), tmp_path, "brt") == (
        "There is no family 'brt'. Did you mean 'bert'? Families: albert, bert, gpt2, llama, modernbert, "
        "roberta, xlm-roberta."
    )


def test_where_no_family_is_given_one_that_can_is_found(tmp_path: Path) -> None:
    task = Encoder("first", True, vocabulary=VOCABULARY, backbone=BERT)
    said = obstacle(task, tmp_path, "gpt2")
    assert said.startswith("gpt2 cannot express a.ckpt; this stands in the way: ")
    assert said.endswith(". Where no family is given, one that can is looked for.")
    assert export_hf(tmp_path / "a.ckpt", tmp_path / "out").family == "bert"


def test_whoever_may_read_one_file_may_read_all(folder: Path) -> None:
    modes = {file.stat().st_mode for file in folder.iterdir()}
    assert len(modes) == 1


def test_nothing_is_written_over(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        StorageError, match="out is there already; name a new folder, or move it away"
    ):
        export_hf(tmp_path / "a.ckpt", folder)
    (tmp_path / "ours").mkdir()
    with pytest.raises(StorageError, match="ours is there already"):
        import_hf(folder, tmp_path / "ours")


@pytest.mark.usefixtures("folder")
def test_names_that_no_folder_can_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {*tmp_path.iterdir()}
    for words in (["import-hf", "out"], ["export-hf", "a.ckpt"]):
        for name, reason in (
            ("x" * 300, "cannot be written (File name too long); give it another name"),
            ("a\0b", "cannot be written (embedded null byte); give it another name"),
        ):
            assert main([*words, "--output", name]) == 5
            assert capsys.readouterr().err == f"error: {name} {reason}.\n"
    assert {*tmp_path.iterdir()} == before


def test_the_commands(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["import-hf", "out", "--output", "ours"]) == 0
    printed = capsys.readouterr().out.splitlines()
    parameters = sum(value.numel() for value in load_file(folder / "model.safetensors").values())
    assert printed[0] == f"MaskedLM, {parameters:,} parameters"
    assert printed[1].startswith("wrote ours/model.ckpt, 0.")
    assert main(["export-hf", "ours/model.ckpt", "--output", "again"]) == 0
    assert capsys.readouterr().out.startswith("BertForMaskedLM, ")
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "again"))
    assert one.keys() == two.keys()
    assert all(one[name].equal(two[name]) for name in one)
    for words, code, sentence in (
        (
            ["import-hf", "nowhere", "--output", "x"],
            4,
            "nowhere is no folder of transformers: it has no config.json.",
        ),
        (
            ["import-hf", "out", "--output", "ours"],
            5,
            "ours is there already; name a new folder, or move it away.",
        ),
        (
            ["import-hf", "out"],
            2,
            "lightformer import-hf: the following arguments are required: --output.",
        ),
        (
            ["export-hf", "x.ckpt", "--output", "y"],
            4,
            "There is no checkpoint x.ckpt. Did you mean 'a.ckpt'? In that folder: a.ckpt.",
        ),
    ):
        assert main(words) == code
        assert capsys.readouterr().err == f"error: {sentence}\n"


PLUGIN = """\"\"\"An attention of one's own.\"\"\"

from lightformer import register
from lightformer.dimensions import Dimensions
from lightformer.softmax_attention import SoftmaxAttention


@register("attention", "of_mine")
class OfMine(SoftmaxAttention):
    \"\"\"Plain attention.\"\"\"

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
"""


def test_plugins_are_loaded_before_a_model_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        kind: {n: registry.find(kind, n) for n in registry.names(kind)} for kind in registry.KINDS
    }
    monkeypatch.setattr(registry, "_specs", known)
    monkeypatch.setattr(plugins, "_loaded", {})
    task = MaskedLM(vocabulary=VOCABULARY, backbone=BERT)
    task.hparams["backbone"]["attention"] = {"name": "of_mine"}
    file = checkpoint(task, tmp_path / "a.ckpt")
    (tmp_path / "of_mine.py").write_text(PLUGIN)
    words = ["export-hf", str(file), "--output", str(tmp_path / "out"), "--no-local-plugins"]
    assert main(words) == 4
    said = capsys.readouterr().err
    assert said.startswith(
        f"error: {file} needs a plugin that is not loaded. There is no attention 'of_mine'."
    )
    assert said.endswith("load yours with lightformer.load_plugins([...]) or --plugins.\n")
    assert main([*words, "--plugins", str(tmp_path / "of_mine.py")]) == 4
    assert "attention of layer 0 is of_mine, and for bert it is mha" in capsys.readouterr().err


@torch.no_grad()
def test_a_folder_starts_a_fine_tuning(folder: Path) -> None:
    """The backbone comes from the folder, whatever head it had."""
    source = lightformer.load(folder)
    task = SequenceClassification(vocabulary=VOCABULARY, init_from=str(folder))
    assert isinstance(task.backbone, Backbone)
    state: dict[str, Tensor] = source.backbone.state_dict()
    assert all(value.equal(state[name]) for name, value in task.backbone.state_dict().items())
    with pytest.raises(
        CheckpointError, match="has a vocabulary of 23 tokens, but the data has one of 29"
    ):
        SequenceClassification(
            vocabulary=Vocabulary(size=29, labels=("a", "b")), init_from=str(folder)
        )
