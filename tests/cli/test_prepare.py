"""`lightformer prepare`: what a first fit would do to the text, and what it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lightformer.cli.main import main
from tests.processes import start

CONFIG = """model: {{name: {task}}}
data:
  name: TextFiles
  train: a.txt
  tokenizer: {{kind: characters}}
trainer: {{max_steps: 3}}
ckpt_path: null
"""
TEXT = "The red river. A blue moon.\n\nThe stone.\n" * 7


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(TEXT)
    Path("c.yaml").write_text(CONFIG.format(task="CausalLM"))
    return tmp_path


def test_the_config_of_a_fit_is_prepared_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--config", "c.yaml"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"tokenizer: {5 + len(set(TEXT))} tokens, ")
    folder = Path(second.rpartition(" ")[2])
    tokens = len(TEXT) + 1  # and the end of the document
    assert second == f"TextFiles-train: 1 documents, {tokens} tokens in {folder}"
    assert folder.parent == Path("data/cache/tokens")
    stamp = (folder / "meta.json").stat().st_mtime_ns
    assert main(["prepare", "--config", "c.yaml"]) == 0
    assert capsys.readouterr().out.splitlines() == [first, second]
    assert (folder / "meta.json").stat().st_mtime_ns == stamp


def stamps() -> dict[Path, int]:
    """The time of each file that was prepared; of digests.json, which remembers them, it may be another."""
    files = (path for path in Path("data").rglob("*.*") if path.name != "digests.json")
    return {path: path.stat().st_mtime_ns for path in files}


def test_a_fit_finds_what_was_prepared(capsys: pytest.CaptureFixture[str]) -> None:
    short = [
        "--data.examples.seq_len",
        "8",
        "--data.batch_size",
        "2",
        "--trainer.accelerator",
        "cpu",
    ]
    small = ["hidden_size 12", "num_heads 2", "num_layers 1", "max_seq_len 8"]
    body = [word for option in small for word in f"--model.backbone.{option}".split()]
    assert main(["prepare", "--config", "c.yaml", *short]) == 0
    before = stamps()
    assert len(before) > 5
    assert main(["fit", "--config", "c.yaml", *short, *body]) == 0
    assert stamps() == before


def test_the_data_may_stand_alone(capsys: pytest.CaptureFixture[str]) -> None:
    words = "prepare --data TextFiles --data.train a.txt --data.tokenizer.vocab_size 31"
    assert main([*words.split(), "--data.validation", "a.txt", "--data.cache_dir", "here"]) == 0
    out = capsys.readouterr().out
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "tokenizer",
        "TextFiles-train",
        "TextFiles-validation",
    ]
    assert out.count(" in here/tokens/") == 2


def test_a_change_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prepare", "--config", "c.yaml"]
    assert main(words) == 0
    (old,) = Path("data/cache/tokens").iterdir()
    Path("a.txt").write_text(TEXT.replace("moon", "noon"))
    capsys.readouterr()
    assert main(words) == 0
    assert capsys.readouterr().err == (
        f"TextFiles-train: a.txt has changed since {old} was made; it is prepared anew.\n"
    )
    assert old.is_dir()


REFUSED = {
    "prepare": (2, "lightformer prepare: no data is chosen; give a config"),
    "prepare --config c.yaml --data.trian x": (
        2,
        "--data.trian: data 'TextFiles' has no option 'trian'. Did you mean 'train'?",
    ),
    "prepare --config c.yaml --trainer.max_step 3": (
        2,
        "--trainer.max_step: trainer has no option",
    ),
    "prepare --config no.yaml": (2, "There is no config file 'no.yaml'."),
    "prepare --config c.yaml --data.train no.txt": (3, "data.train: there is no file no.txt."),
    "prepare --config c.yaml --data.train empty.txt": (3, "empty.txt is empty."),
    "prepare --config c.yaml --data.cache_dir a.txt": (5, "a.txt/tokenizers/TextFiles-characters-"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_mistake_is_one_sentence(capsys: pytest.CaptureFixture[str], line: str) -> None:
    Path("empty.txt").write_text("")
    code, sentence = REFUSED[line]
    assert main(line.split()) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {sentence}")
    assert said.err.count("\n") == 1


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: lightformer prepare [--config FILE.yaml ...]")
    assert "  TextFiles  " in out
    assert main(["prepare", "--data.help", "TextFiles"]) == 0
    assert "--data.train" in capsys.readouterr().out


def members(group: int) -> list[str]:
    """The processes of a group that are at work."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = file.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of) == group and state not in "ZX":
            found.append(file.parent.name)
    return found


SMALL_SHARDS = "write_store.__kwdefaults__['shard'] = 10_007"
SLOWLY = """
import time
from lightformer.data.store import writing
add = writing._Writer.add
writing._Writer.add = lambda *given: (add(*given), time.sleep(0.3))
"""
MAIN = "import sys; from lightformer.cli.main import main; sys.exit(main())"


def noted(tokens: Path) -> list[str]:
    """What the journal of the one store in work says; nothing before a shard is whole."""
    lines = [file.read_text().splitlines() for file in tokens.glob(".*.partial/shards.jsonl")]
    return lines[0] if lines and len(lines[0]) > 1 else []


def test_ctrl_c_ends_at_once_and_the_next_call_goes_on(here: Path) -> None:
    Path("a.txt").write_text("".join(f"{TEXT} {number}\n" for number in range(1511)))
    code = f"from lightformer.data.store import write_store; {SMALL_SHARDS}\n{SLOWLY}\n{MAIN}"
    words = ["-c", code, "prepare", "--config", "c.yaml"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with start(*words, env=env, start_new_session=True) as process:
        tokens = Path("data/cache/tokens")
        begun = time.monotonic()
        while not noted(tokens):
            assert process.poll() is None
            assert time.monotonic() - begun < 60
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not members(process.pid)
    done = noted(tokens)
    subprocess.run([sys.executable, *words], env=env, check=True, capture_output=True)
    (folder,) = tokens.iterdir()
    assert (folder / "shards.jsonl").read_text().splitlines()[: len(done)] == done
    assert json.loads((folder / "meta.json").read_text())["documents"] == 1
