"""What a file of ONNX gives is what the model gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch

from lightformer import attention, block, position
from lightformer.backbone_config import LayerPattern
from lightformer.exchange import export_hf
from lightformer.onnx import Exported, export_onnx
from lightformer.tasks import (
    BertPretraining,
    CausalLM,
    Encoder,
    MaskedLM,
    NextSentencePrediction,
    SequenceClassification,
    Task,
)
from tests.onnx.models import SIZES, agree, batch, checkpoint, model, onnxruntime, run, session
from tests.variants import LONGEST, VOCAB, variants

PADDING = ["none", "left", "right"]


@dataclass
class Case:
    """A model, and its file."""

    task: Any
    done: Exported
    session: Any


def masked() -> Any:
    return model(MaskedLM, position=position.learned(), num_segments=2, block=block.post_norm())


def causal() -> Any:
    return model(CausalLM, options={"tied": False}, attention=attention.gqa(num_kv_heads=2))


def classes(pooling: str) -> Any:
    options = {"pooling": pooling}
    return model(SequenceClassification, options=options, position=position.alibi(), num_layers=1)


def pairs(task: type[Task]) -> Any:
    return model(task, num_segments=2, num_layers=1)


def catalogue(attentions: list[Any], positions: list[Any], is_causal: bool) -> Any:
    """Each attention in a layer, and each position that is not added to the embeddings."""
    pattern = [
        *(LayerPattern(attention=form.values[0]) for form in attentions),
        *(
            LayerPattern(position=form.values[0])
            for form in positions
            if form.values[0].name not in ("learned", "sinusoidal")
        ),
    ]
    return model(
        Encoder,
        pattern=pattern,
        num_layers=len(pattern),
        is_causal=is_causal,
        position=position.sinusoidal(),
    )


def one_of_each(kind: str) -> list[Any]:
    """The first form of each part of a kind."""
    return list({form.values[0].name: form for form in reversed(variants(kind))}.values())


MAKERS: dict[str, Callable[[], Any]] = {
    "masked": masked,
    "causal": causal,
    "mean": lambda: classes("mean"),
    "first": lambda: classes("first"),
    "last": lambda: classes("last"),
    "next sentence": lambda: pairs(NextSentencePrediction),
    "bert": lambda: pairs(BertPretraining),
    "each": lambda: catalogue(one_of_each("attention"), one_of_each("position"), True),
    **{
        f"every {kind}, {sees}": partial(
            catalogue,
            variants("attention") if kind == "attention" else [],
            variants("position") if kind == "position" else [],
            sees == "causal",
        )
        for kind in ("attention", "position")
        for sees in ("causal", "both sides")
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """Exports a model once for all tests."""

    @cache
    def make(name: str) -> Case:
        torch.manual_seed(0)
        task, folder = MAKERS[name](), tmp_path_factory.mktemp("onnx")
        done = export_onnx(checkpoint(task, folder), folder / "model.onnx")
        return Case(task, done, session(folder / "model.onnx"))

    return make


Made = Callable[[str], Case]


@pytest.mark.parametrize("name", ["masked", "causal"])
@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_the_score_of_every_token(
    made: Made, name: str, size: tuple[int, int], padding: str
) -> None:
    case = made(name)
    inputs = batch(*size, padding, segments=name == "masked")
    found = run(case.session, inputs)
    assert list(found) == case.done.outputs == ["logits"]
    assert found["logits"].shape == (*size, VOCAB)
    agree(found["logits"], case.task(**inputs), inputs["attention_mask"])


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_the_score_of_every_class(
    made: Made, pooling: str, size: tuple[int, int], padding: str
) -> None:
    case, inputs = made(pooling), batch(*size, padding)
    found = run(case.session, inputs)
    assert found["logits"].shape == (size[0], 3)
    agree(found["logits"], case.task(**inputs))


@torch.no_grad()
def test_the_score_of_a_pair(made: Made) -> None:
    case, inputs = made("next sentence"), batch(3, 5, "left", segments=True)
    agree(run(case.session, inputs)["logits"], case.task(**inputs))


@torch.no_grad()
def test_both_scores_of_bert(made: Made) -> None:
    case, inputs = made("bert"), batch(3, 5, "right", segments=True)
    found = run(case.session, inputs)
    assert case.done.inputs == ["input_ids", "attention_mask", "token_type_ids"]
    agree(found["logits"], case.task(**inputs), inputs["attention_mask"])
    pooled = case.task.pooler(case.task.hidden_states(inputs), inputs["attention_mask"])
    agree(found["next_sentence_logits"], case.task.next_sentence_head(pooled))


@torch.no_grad()
def test_a_model_with_an_adapter_that_is_not_merged(tmp_path: Path) -> None:
    options = {"adapter": {"name": "lora", "rank": 2}}
    torch.manual_seed(0)
    task = model(SequenceClassification, options=options, num_layers=1)
    export_onnx(checkpoint(task, tmp_path), tmp_path / "a.onnx")
    inputs = batch(3, 5, "left")
    expected = task(**inputs)
    agree(run(session(tmp_path / "a.onnx"), inputs)["logits"], expected)
    for name, parameter in task.named_parameters():
        if ".adapter." in name:
            parameter.zero_()
    assert (task(**inputs) - expected).abs().max() > 0.01  # it has a say


slow = [pytest.param(name, marks=pytest.mark.slow) for name in MAKERS if name.startswith("every")]


@pytest.mark.parametrize("name", ["each", *slow])
@torch.no_grad()
def test_every_attention_and_position(made: Made, name: str) -> None:
    case = made(name)
    for padding in PADDING:
        inputs = batch(3, LONGEST, padding)
        found, states = run(case.session, inputs), case.task(**inputs)
        assert list(found) == case.done.outputs == ["hidden_states", "pooled"]
        agree(found["hidden_states"], states, inputs["attention_mask"])
        share = inputs["attention_mask"][..., None].float()
        agree(found["pooled"], (states * share).sum(dim=1) / share.sum(dim=1))


def test_a_model_with_learned_positions_ends_at_its_length(made: Made) -> None:
    error = onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument
    with pytest.raises(error, match="out of data bounds"):
        run(made("masked").session, batch(2, LONGEST + 1, "none", segments=True))


@torch.no_grad()
def test_a_model_with_rotary_positions_goes_on_beyond_it(made: Made) -> None:
    case, inputs = made("causal"), batch(2, 3 * LONGEST, "left")
    agree(run(case.session, inputs)["logits"], case.task(**inputs), inputs["attention_mask"])


def test_a_file_says_what_it_takes_and_nothing_of_this_machine(made: Made) -> None:
    case = made("masked")
    taken = {node.name: (node.shape, node.type) for node in case.session.get_inputs()}
    assert taken == dict.fromkeys(case.done.inputs, (["batch", "length"], "tensor(int64)"))
    file = Path(case.session._model_path)
    assert str(Path(__file__).parents[2]).encode() not in file.read_bytes()
    weights = 4 * sum(p.numel() for p in case.task.parameters())
    assert weights < case.done.size == file.stat().st_size < weights + 60_000
    assert 0 <= case.done.difference < 1e-5


@torch.no_grad()
def test_a_folder_of_transformers_and_weights_that_need_a_file_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.onnx._internal.exporter._onnx_program, "_LARGE_MODEL_THRESHOLD", 100)
    task = model(
        MaskedLM,
        position=position.learned(),
        block=block.post_norm(),
        num_segments=2,
        norm_embeddings=True,
        num_layers=1,
        hidden_size=30,
        num_heads=3,
        head_dim=None,
    )
    export_hf(checkpoint(task, tmp_path), tmp_path / "folder")
    done = export_onnx(tmp_path / "folder", tmp_path / "out" / "a.onnx")
    sizes = {file.name: file.stat().st_size for file in (tmp_path / "out").iterdir()}
    assert sorted(sizes) == ["a.onnx", "a.onnx.data"]
    assert sum(sizes.values()) == done.size
    inputs = batch(3, 5, "right", segments=True)
    found = run(session(tmp_path / "out" / "a.onnx"), inputs)["logits"]
    agree(found, task(**inputs), inputs["attention_mask"])
