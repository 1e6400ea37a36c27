"""`lightformer data show`: what is in the tokens."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lightformer.cli.main import main
from lightformer.data.store.layout import digest_of

ROWS = ["red river", "blue", "red river", "a blue moon shines on the stone", "b", "red river"]
WORDS = ["--data", "TextFiles", "--data.train", "a.jsonl", "--data.tokenizer.kind", "characters"]


@pytest.fixture(autouse=True)
def store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in ROWS))
    assert main(["prepare", *WORDS]) == 0
    capsys.readouterr()
    (folder,) = Path("data/cache/tokens").iterdir()
    return folder


def shown(text: str) -> dict[str, str]:
    """The rows of what is shown, by their names."""
    return dict(re.findall(r"^  (\w+) +(\S.*)$", text, re.MULTILINE))


def test_all_that_is_in_it_is_shown(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", str(store)]) == 0
    out = capsys.readouterr().out
    tokens = sum(map(len, ROWS)) + len(ROWS)
    rows = shown(out)
    assert out.startswith(f"{store}\n")
    assert rows["documents"] == "6, the longest of 31 tokens"
    assert rows["duplicates"] == "2 (33.33%) as one before, token for token"
    assert rows["tokens"] == f"{tokens} of 1 bytes each"
    assert rows["unknown"] == "0 (0.00%)"
    assert rows["skipped"] == "0 rows"
    assert rows["sources"].startswith("a.jsonl (")
    assert rows["checksums"] == "all files are as they were written"
    assert re.findall(r"^ +(\d+) - (\d+) +(\d+)  (#+)$", out, re.MULTILINE) == [
        ("0", "1", "1", "#" * 14),
        ("3", "4", "1", "#" * 14),
        ("9", "16", "3", "#" * 40),
        ("17", "32", "1", "#" * 14),
    ]
    assert out.splitlines()[-3:] == [
        "    document 1: red river",
        "    document 3: red river",
        "    document 6: red river",
    ]


def test_a_config_shows_all_its_stores(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", *WORDS]) == 0
    one = capsys.readouterr().out
    assert main(["data", "show", *WORDS, "--data.validation", "a.jsonl"]) == 0
    out = capsys.readouterr().out
    folders = sorted(Path("data/cache/tokens").iterdir())
    assert [line for line in out.splitlines() if line.startswith("data")] == list(map(str, folders))
    assert out.startswith(one + "\n")


def test_skipped_rows_are_shown(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meta = json.loads((store / "meta.json").read_text())
    del meta["digest"]
    meta["skipped"] = {"rows": 1234, "first": ["a.jsonl, line 7 is broken."]}
    (store / "meta.json").write_text(json.dumps({**meta, "digest": digest_of(meta)}))
    assert main(["data", "show", str(store)]) == 0
    assert "1,234 rows\n              a.jsonl, line 7 is broken.\n" in capsys.readouterr().out


def test_damage_is_found(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray((store / "tokens.bin").read_bytes())
    data[7] ^= 1
    (store / "tokens.bin").write_bytes(data)
    assert main(["data", "show", str(store)]) == 3
    assert capsys.readouterr().err == (
        f"error: {store} is damaged (tokens.bin is not what was written); "
        "delete the folder, it is made again.\n"
    )


def test_a_meta_that_was_edited_is_one_sentence(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meta = json.loads((store / "meta.json").read_text())
    (store / "meta.json").write_text(json.dumps({**meta, "documents": "six"}))
    assert main(["data", "show", str(store)]) == 3
    assert capsys.readouterr().err == (
        f"error: {store} is damaged (meta.json is not what was written); "
        "delete the folder, it is made again.\n"
    )


REFUSED = {
    "data show --data TextFiles --data.train a.jsonl --data.encoding punycode": (
        2,
        "There is no encoding 'punycode'; mostly it is utf-8.",
    ),
    "data show nowhere": (
        3,
        "nowhere is no store of tokens, since it has no meta.json; "
        "name a folder that lightformer prepare has made.",
    ),
    "data shwo": (2, "There is no command `data shwo`. Did you mean 'show'? Commands: show."),
    "data show --data.train x": (
        2,
        "lightformer data show: no data is chosen; give a config, such",
    ),
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_mistake_is_one_sentence(capsys: pytest.CaptureFixture[str], line: str) -> None:
    code, sentence = REFUSED[line]
    assert main(line.split()) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {sentence}")
    assert said.err.count("\n") == 1


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("data", "data --help", "data show --help"):
        assert main(line.split()) == 0
        assert capsys.readouterr().out.startswith("usage: lightformer data show FOLDER ...\n")
