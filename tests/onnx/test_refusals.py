"""What cannot become a file of ONNX is refused in a sentence, and leaves nothing behind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Inner
from tokenizers import models

from lightformer import plugins, registry
from lightformer.cli.main import main
from lightformer.onnx import checking, export_onnx
from lightformer.onnx.graph import Graph
from lightformer.tasks import Encoder, MaskedLM
from lightformer.tokenizer import Tokenizer
from tests.onnx.models import checkpoint, model
from tests.variants import VOCAB

PLUGIN = '''"""An attention that no graph can hold."""

import torch
from torch import Tensor

from lightformer import register
from lightformer.attention import Attention, AttentionContext
from lightformer.dimensions import Dimensions


@register("attention", "odd")
class OddAttention(Attention):
    """Looks at nothing."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__()

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        {body}
'''
ODD = {
    "if hidden_states.sum() > 0: return hidden_states\n        return -hidden_states": (
        "decides in Python by numbers or lengths that are known only when it runs ({file}, line 19); write that with "
        "tensors, or choose another part."
    ),
    "return hidden_states + torch.special.i0e(hidden_states)": (
        "uses prims.bessel_i0e, which ONNX does not have ({file}, line 19); write that with tensors, or choose "
        "another part."
    ),
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return checkpoint(model(Encoder, num_layers=1), tmp_path)


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test register a part that the next test does not see."""
    kept = {
        kind: {name: registry.find(kind, name) for name in registry.names(kind)}
        for kind in registry.KINDS
    }
    monkeypatch.setattr(registry, "_specs", kept)
    monkeypatch.setattr(plugins, "_loaded", {})


def export(*words: Any) -> int:
    return main(["export-onnx", *map(str, words), "--no-local-plugins"])


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize("body", ODD, ids=["branch", "operator"])
def test_a_part_that_no_graph_can_hold_is_named(
    body: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    file = tmp_path / f"odd_{request.node.callspec.id}.py"
    file.write_text(PLUGIN.format(body=body))
    plugins.load_plugins([str(file)], None)
    spec = registry.find("attention", "odd")()
    path = checkpoint(
        model(Encoder, attention=spec, position=registry.find("position", "none")()), tmp_path
    )
    assert export(path, "--output", tmp_path / "out" / "a.onnx") == 4
    reason = ODD[body].format(file=file)
    assert (
        capsys.readouterr().err
        == f"error: {path} cannot be written as ONNX: attention odd {reason}\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("own_registry")
def test_a_part_that_fixes_the_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "odd_length.py"
    body = "return hidden_states * torch.ones(int(hidden_states.shape[1]))[:, None]"
    file.write_text(PLUGIN.format(body=body))
    plugins.load_plugins([str(file)], None)
    spec = registry.find("attention", "odd")()
    path = checkpoint(
        model(Encoder, attention=spec, position=registry.find("position", "none")()), tmp_path
    )
    assert export(path, "--output", tmp_path / "a.onnx") == 4
    assert capsys.readouterr().err == (
        f"error: {path} cannot be written as ONNX: one of its parts (position none, attention odd) works for one "
        "batch size or length alone, as it makes a Python number of it; choose another.\n"
    )


def test_results_that_differ_leave_no_file(
    small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        checking,
        "difference",
        lambda graph, session, inputs: 2e-4 if len(inputs["input_ids"]) > 1 else 0.0,
    )
    target = small.parent / "out" / "a.onnx"
    assert export(small, "--output", target) == 4
    assert capsys.readouterr().err == (
        "error: The results of onnxruntime must not differ from those of torch by more than 0.0001, but they do by "
        "0.0002, and no file was written; choose another attention or position, or another opset.\n"
    )
    assert not list(target.parent.iterdir())


class Session:
    """Gives what a model gives, but for one number."""

    def __init__(self, graph: Graph, place: tuple[int, int], value: float) -> None:
        self.graph, self.place, self.value = graph, place, value

    def run(self, names: None, arrays: dict[str, Any]) -> list[Any]:
        found = [value.numpy() for value in self.graph(*map(torch.from_numpy, arrays.values()))]
        found[0][self.place][0] = self.value
        return found


@torch.no_grad()
def test_the_difference_is_of_tokens_and_not_of_padding() -> None:
    graph = Graph(model(MaskedLM))
    inputs = graph.example(2, 5)
    padding = tuple((inputs["attention_mask"] == 0).nonzero()[0].tolist())
    token = tuple(inputs["attention_mask"].nonzero()[0].tolist())
    assert checking.difference(graph, Session(graph, padding, 1e3), inputs) == 0.0
    scores = graph(*inputs.values())[0]
    expected = (scores[token][0] - 1e3).abs() / scores[inputs["attention_mask"].bool()].abs().max()
    found = checking.difference(graph, Session(graph, token, 1e3), inputs)
    assert found == pytest.approx(float(expected))
    unknown = checking.difference(graph, Session(graph, token, float("nan")), inputs)
    assert unknown != unknown
    assert not unknown <= checking.TOLERANCE


def test_nothing_is_written_over(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = small.parent / "a.onnx"
    target.write_text("mine")
    assert export(small, "--output", target) == 5
    assert (
        capsys.readouterr().err
        == f"error: {target} is there already; name a new file, or move it away.\n"
    )
    assert target.read_text() == "mine"


def test_names_that_no_file_can_have(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, reason in (("x" * 300, "File name too long"), ("a\0b", "embedded null byte")):
        target = small.parent / name
        assert export(small, "--output", target) == 5
        assert capsys.readouterr().err == (
            f"error: {target} cannot be written ({reason}); give it another name.\n"
        )
    assert export(small, "--output", "") == 5
    assert capsys.readouterr().err.startswith("error: . is there already; name a new file")
    assert [*small.parent.iterdir()] == [small]


def tokenizer() -> Tokenizer:
    words = {"[PAD]": 0, **{f"w{i}": i for i in range(1, VOCAB)}}
    return Tokenizer.from_json(Inner(models.WordLevel(words, unk_token="[PAD]")).to_str())


def test_the_tokenizer_comes_along_but_over_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = model(Encoder, num_layers=1)
    task.tokenizer = tokenizer()
    path, folder = checkpoint(task, tmp_path), tmp_path / "out"
    assert export(path, "--output", folder / "a.onnx", "--opset", 18, "--no-check") == 0
    told = capsys.readouterr().out.splitlines()
    count = sum(p.numel() for p in task.parameters())
    assert told[:2] == [
        f"Encoder, {count:,} parameters, opset 18",
        "from input_ids, attention_mask to hidden_states, pooled",
    ]
    assert told[2].startswith(f"wrote {folder}/a.onnx, 0.0 MB, in ")
    assert sorted(file.name for file in folder.iterdir()) == ["a.onnx", "tokenizer.json"]
    assert (folder / "tokenizer.json").read_text() == task.tokenizer.to_json()
    (folder / "tokenizer.json").write_text("{}")
    assert export(path, "--output", folder / "b.onnx") == 5
    assert capsys.readouterr().err == (
        f"error: {folder}/tokenizer.json is there already, and is not the model's; name a file in another folder.\n"
    )
    assert not (folder / "b.onnx").exists()


@pytest.mark.parametrize("opset", [17, 23])
def test_operators_that_are_too_old_or_new(
    opset: int, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(small, "--output", small.parent / "a.onnx", "--opset", opset) == 2
    assert capsys.readouterr().err == f"error: opset must be from 18 to 22, but is {opset}.\n"


def test_packages_that_are_missing(
    small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert export(small, "--output", small.parent / "a.onnx") == 2
    assert capsys.readouterr().err == (
        "error: A file of ONNX is written with onnxscript, not installed here; run: pip install 'lightformer[onnx]'.\n"
    )


def test_without_onnxruntime_it_is_valid_but_not_run(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert export_onnx(small, small.parent / "a.onnx").difference is None


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-onnx", "--help"]) == 0
    told = capsys.readouterr().out
    assert "usage: lightformer export-onnx" in told
    assert all(option in told for option in ("--output", "--opset", "--no-check", "--plugins"))
