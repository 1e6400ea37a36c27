"""The READMEs are true: every command runs, every block of code too, and the table of parts is whole."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement

from lightformer import BackboneConfig, block, norm, position
from lightformer.catalogue.index import read_catalogue
from lightformer.cli.main import COMMANDS as MAIN
from lightformer.exchange import export_hf
from lightformer.registry import KINDS
from lightformer.tasks import Encoder
from lightformer.tokenizer import Tokenizer
from tests.e2e.harness import ROOT, TINY, here, python, run_folder

README = (ROOT / "README.md").read_text()
OF_PLUGINS = (ROOT / "plugins" / "README.md").read_text()
SHORT = [*TINY, "--trainer.max_steps", "2", "--trainer.val_check_interval", "2"]


def commands(text: str) -> list[str]:
    """The commands of a README: lines that are indented, and those in backquotes within a sentence."""
    lines = re.findall(r"^    .*?(lightformer [a-z].*)$", text, re.MULTILINE)
    return list(dict.fromkeys(lines + re.findall(r"`(lightformer [a-z][^`]+)`", text)))


COMMANDS = list(dict.fromkeys(commands(README) + commands(OF_PLUGINS)))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """A folder as the README's reader has it: configs, plugins, and a run of each kind that is put to use."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("configs", "plugins"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("mlm", "clm", "classification"):
        line = ["fit", "--config", f"configs/{name}.yaml", "--data.cache_dir", cache_dir, *SHORT]
        run = run_folder(here(*line, cwd=folder), folder)
        assert run == folder / "runs" / name / "version_0"
    _write_folder(folder / "FOLDER", folder / "runs" / "mlm" / "version_0" / "checkpoints")
    return folder


def _write_folder(folder: Path, checkpoints: Path) -> None:
    """What the README calls FOLDER: a small BERT as `transformers` keeps it, untrained."""
    text = (checkpoints / "tokenizer.json").read_text()
    tokenizer = Tokenizer.from_json(text)
    sizes = {"hidden_size": 24, "num_layers": 2, "num_heads": 2, "max_seq_len": 512}
    bert = BackboneConfig(
        **sizes,
        num_segments=2,
        norm_embeddings=True,
        position=position.learned(),
        norm=norm.layer_norm(eps=1e-12),
        block=block.post_norm(),
    )
    encoder = Encoder("first", True, vocabulary=tokenizer.vocabulary, backbone=bert)
    encoder.tokenizer = tokenizer
    content: dict[str, Any] = {
        "state_dict": encoder.state_dict(),
        "hyper_parameters": dict(encoder.hparams),
    }
    encoder.on_save_checkpoint(content)
    torch.save(content, folder.with_suffix(".ckpt"))
    export_hf(folder.with_suffix(".ckpt"), folder)


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 15
    assert set(MAIN) - {"validate"} == {c.split()[1] for c in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_works(workshop: Path, cache_dir: Path, command: str) -> None:
    words = shlex.split(command)[1:]
    asks = any("help" in word for word in words)
    if words[0] == "fit" and not asks:
        words += [*SHORT, "--data.cache_dir", str(cache_dir)]
        if "--ckpt_path" in words:
            words += ["--trainer.max_steps", "3"]
        if "configs/trainer/gpu.yaml" in words:
            words += ["--trainer.accelerator", "cpu"]
    elif words[0] == "generate":
        words += ["--max_new_tokens", "5"]
    elif words[0] in ("prepare", "data"):
        words += ["--data.cache_dir", str(cache_dir)]
    elif words[0] == "bench":
        words += ["--megabytes", "0.3", "--repeats", "1"]
    elif words[:2] == ["plugins", "probe"]:
        words += ["--steps", "2"]
    done = here(*words, cwd=workshop)
    assert done.code == 0, done.err
    assert done.out
    assert "Traceback" not in done.err
    if words[0] == "predict":
        assert (workshop / "predictions.jsonl").read_text().count("\n") > 2


def test_the_python_works(workshop: Path) -> None:
    code = ["import torch; input_ids = torch.randint(0, 8192, (2, 7))", *blocks(README, "python")]
    done = python("\n".join([*code, "print(tuple(hidden_states.shape))"]), cwd=workshop)
    assert done.code == 0, done.err
    assert done.out.endswith("(2, 7, 256)\n")
    assert "Return the" in done.out
    done = python("\n".join(blocks(OF_PLUGINS, "python")), cwd=workshop)
    assert done.code == 0, done.err


YAML = [*blocks(README, "yaml"), *blocks(OF_PLUGINS, "yaml")]


@pytest.mark.parametrize("number", range(len(YAML)))
def test_the_yaml_works(workshop: Path, cache_dir: Path, number: int) -> None:
    text = YAML[number]
    (workshop / "books").mkdir(exist_ok=True)
    (workshop / "books" / "one.txt").write_text(README * 5)
    (workshop / "letters").mkdir(exist_ok=True)
    (workshop / "letters" / "one.txt").write_text(OF_PLUGINS * 5)
    rows = [f"a {word} thing {i},{word}" for i in range(7) for word in ("good", "bad")]
    for name in ("reviews.csv", "reviews-dev.csv"):
        (workshop / name).write_text("\n".join(["review,sentiment", *rows]))
    (workshop / "block.yaml").write_text(text)
    more = ["--model", "SequenceClassification" if "LabelledFiles" in text else "CausalLM"]
    if text.startswith("model:"):
        more = ["--data", "PythonDocs"]
    words = ["fit", *more, "--config", "block.yaml", *SHORT, "--data.cache_dir", cache_dir]
    done = here(*words, "--trainer.val_check_interval", 1.0, cwd=workshop)
    assert done.code == 0, done.err


def test_the_table_of_parts_is_whole() -> None:
    catalogue = read_catalogue(folder=None)
    rows = dict(re.findall(r"^\| (\w+) \| ((?:`\w+`(?:, )?)+) \|$", README, re.MULTILINE))
    told = {kind: re.findall(r"`(\w+)`", parts) for kind, parts in rows.items()}
    assert list(told) == list(KINDS)
    assert {kind: sorted(parts) for kind, parts in told.items()} == {
        kind: sorted(catalogue.names(kind)) for kind in KINDS
    }


def test_the_table_of_configs_is_whole() -> None:
    told = re.findall(r"^\| `(configs/[\w-]+\.yaml)` \|", README, re.MULTILINE)
    assert sorted(told) == sorted(
        f"configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")
    )


def test_paths_and_links_are_there() -> None:
    for path in re.findall(r"\]\(([\w/.-]+)\)", README) + re.findall(
        r"`((?:configs|plugins)/[\w/.-]*)`", README
    ):
        assert (ROOT / path).exists(), path


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    install, test = re.search(
        r"^    (pip install .*\[test\].*) && (.*)$", README, re.MULTILINE
    ).groups()
    lines = (ROOT / ".ci" / "run").read_text().replace("--quiet ", "").splitlines()
    assert lines.index(install) < lines.index(test)


def test_constraints_are_within_bounds() -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [
        Requirement(line)
        for line in (*project["dependencies"], *(r for e in extras.values() for r in e))
    ]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {
        r.name.lower(): r
        for r in map(Requirement, (x for x in lines if x and not x.startswith("#")))
    }
    for requirement in asked:
        if requirement.name.lower() in pinned:
            (version,) = pinned[requirement.name.lower()].specifier
            assert version.operator == "=="
            assert requirement.specifier.contains(version.version), requirement
    tested = [Requirement(line) for line in (*project["dependencies"], *extras["test"])]
    assert {r.name.lower() for r in tested} - set(pinned) <= {"pyyaml"}
