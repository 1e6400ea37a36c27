"""`plugins new`: what it writes works with no edit, for every kind; and the guide in plugins/README.md is true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lightformer import registry
from lightformer.registry import KINDS
from tests.e2e.harness import ROOT, TINY, Done, here

GUIDE = re.search(
    r"^## Your own attention in ten minutes$(.*?)^## ",
    (ROOT / "plugins" / "README.md").read_text(),
    re.MULTILINE | re.DOTALL,
)
SHORT = [*TINY, "--trainer.max_steps", "3", "--trainer.val_check_interval", "3"]
OTHERS = [kind for kind in KINDS if kind != "attention"]  # which the guide goes through


@pytest.fixture(autouse=True, scope="module")
def _registry() -> object:
    """Leaves no part behind for the tests that come after."""
    kept = {
        kind: {name: registry.find(kind, name) for name in registry.names(kind)} for kind in KINDS
    }
    yield
    registry._specs.update(kept)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of a run that is over soon; all runs share their tokens."""
    return [*SHORT, "--data.cache_dir", str(tmp_path_factory.mktemp("cache"))]


@pytest.fixture(scope="module")
def cwd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new part of every kind, but for attention."""
    folder = tmp_path_factory.mktemp("new")
    for kind in OTHERS:
        assert here("plugins", "new", kind, f"my_{kind}", cwd=folder).code == 0
    return folder


@pytest.mark.parametrize("kind", OTHERS)
def test_a_new_part_keeps_its_promises(cwd: Path, kind: str) -> None:
    done = here("plugins", "check", kind, f"my_{kind}", cwd=cwd)
    assert done.code == 0, done.out + done.err
    assert done.out.startswith(f"{kind} my_{kind} {{")
    assert " held     " in done.out


@pytest.mark.parametrize("kind", OTHERS)
def test_a_new_part_trains(cwd: Path, short: list[str], kind: str) -> None:
    done = here("fit", "--config", f"configs/my_{kind}.yaml", *short, cwd=cwd)
    assert done.code == 0, done.err
    assert "learnt in 3 steps: " in done.out
    saved = (cwd / "runs" / f"my_{kind}" / "version_0" / "config.yaml").read_text()
    assert f"name: my_{kind}\n" in saved


def test_its_test_fails_where_a_promise_is_broken(cwd: Path) -> None:
    part = cwd / "plugins" / "my_schedule.py"
    text = part.read_text()
    part.write_text(text.replace("(self.warmup_steps + 1)", "(self.warmup_steps + 2)"))
    done = pytest_in(cwd, "tests/test_my_schedule.py")
    part.write_text(text)
    assert done.code == 1
    assert "BROKEN   formula" in done.out


def test_what_is_written_is_in_good_style(cwd: Path) -> None:
    rules = ["--config", ROOT / "pyproject.toml", "."]
    first = ["--config", "lint.isort.known-first-party = ['lightformer']"]
    for words in (["check", *first, *rules], ["format", "--check", *rules]):
        command = [sys.executable, "-m", "ruff", *map(str, words)]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_its_package_is_found_where_it_is_installed(cwd: Path, tmp_path: Path, monkeypatch) -> None:
    tomllib = pytest.importorskip("tomllib")
    text = (cwd / "plugins" / "my_norm.py").read_text()
    lines = [line.removeprefix("#     ") for line in text.splitlines() if line.startswith("#     ")]
    made = tomllib.loads("\n".join(lines))
    assert made["project"]["name"] == "my-norm"
    assert made["tool"]["setuptools"]["py-modules"] == ["my_norm"]
    (group, points), *_ = made["project"]["entry-points"].items()
    info = tmp_path / "site" / "my_norm-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-norm\nVersion: 0.1.0\n")
    told = "".join(f"{name} = {module}\n" for name, module in points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{told}")
    (tmp_path / "site" / "my_norm.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    done = here("plugins", "list", "--kind", "norm", cwd=tmp_path)
    assert re.search(r"^  my_norm .*\[entry point my_norm\]$", done.out, re.MULTILINE)


def pytest_in(cwd: Path, *words: str) -> Done:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_guide_is_true(tmp_path: Path, short: list[str]) -> None:
    assert GUIDE is not None
    part = tmp_path / "plugins" / "my_attention.py"
    ran, before = [], ""
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE[1], re.MULTILINE | re.DOTALL):
        if language == "diff":
            before = part.read_text()
            old, new = ("".join(re.findall(rf"^\{sign}(.*\n)", block, re.M)) for sign in "-+")
            assert before.count(old) == 1
            part.write_text(before.replace(old, new))
            continue
        for command, told in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            ran.append(command.split()[1])
            done = follow(command, tmp_path, short)
            assert done.code == (1 if "BROKEN" in told else 0), done.out + done.err
            said = (
                done.out if "fit" not in command else re.sub("in 3 steps", "in 400 steps", done.out)
            )
            assert agree(told, said), f"{command}\n{said}"
            if "BROKEN" in told:
                part.write_text(before)  # "Take the line out again."
    assert ran == ["plugins", "plugins", "tests/test_my_attention.py", "plugins", "fit", "fit"]


def follow(command: str, cwd: Path, short: list[str]) -> Done:
    """Does what the guide says, in small."""
    program, *words = shlex.split(command)
    if program == "pytest":
        return pytest_in(cwd, *words)
    assert program == "lightformer"
    return here(*words, *(short if words[0] == "fit" else []), cwd=cwd)


def agree(told: str, said: str) -> bool:
    """Whether the lines that are told were said, in that order, whatever their numbers; `...` stands for any."""
    lines = iter(map(plain, said.splitlines()))
    wanted = filter(None, map(plain, told.splitlines()))
    return all(any(line in found for found in lines) for line in wanted)


def plain(line: str) -> str:
    """A line whose figures are all alike."""
    return re.sub(r"\d[\d.]*(e[-+]\d+)?", "#", " ".join(line.replace("...", "").split()))


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        (
            "atention",
            "mine",
            "There is no kind 'atention' of part. Did you mean 'attention'? Kinds: ",
        ),
        ("norm", "my-norm", ", but is 'my-norm'; write my_norm."),
        ("norm", "3d", ", but is '3d'; write my_norm."),
        ("norm", "_mine", ", but is '_mine'; write mine."),
        ("norm", "class", ", but is 'class'; write my_norm."),
        ("norm", "name", ", but is 'name'; write my_norm."),
        ("norm", "../mine", ", but is '../mine'; write mine."),
        ("attention", "gqa", "There is already attention 'gqa' (built-in); choose another name."),
        (
            "norm",
            "my_norm",
            "There is already norm 'my_norm' (plugins/my_norm.py); choose another name.",
        ),
    ],
)
def test_what_cannot_be_is_refused(cwd: Path, kind: str, name: str, sentence: str) -> None:
    before = sorted(cwd.rglob("*.py"))
    done = here("plugins", "new", kind, name, cwd=cwd)
    assert done.code == 2
    assert sentence in done.err
    assert sorted(cwd.rglob("*.py")) == before


def test_a_bad_name_is_told_the_rule(tmp_path: Path) -> None:
    done = here("plugins", "new", "position", "my position", cwd=tmp_path)
    assert done.err == (
        "error: The name of a part must be a word of letters, digits and _ that starts with a letter and means "
        "nothing in Python or in a config, but is 'my position'; write my_position.\n"
    )


@pytest.mark.parametrize("file", ["plugins/mine.py", "tests/test_mine.py", "configs/mine.yaml"])
def test_nothing_is_overwritten(tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text("# mine\n")
    done = here("plugins", "new", "norm", "mine", cwd=tmp_path)
    assert done.code == 2
    assert done.err == (
        f"error: {file} is there already, and nothing is overwritten; choose another name, or move the file.\n"
    )
    assert path.read_text() == "# mine\n"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "tests").write_text("no folder")
    done = here("plugins", "new", "norm", "mine", cwd=tmp_path)
    assert done.code == 5
    assert done.err == "error: tests/test_mine.py cannot be written: File exists.\n"
    assert not list(tmp_path.rglob("*.py"))


@pytest.mark.parametrize("name", ["tensor", "softmax_attention", "Dimensions"])
def test_a_class_is_not_called_as_what_its_file_uses(tmp_path: Path, name: str) -> None:
    assert here("plugins", "new", "attention", name, cwd=tmp_path).code == 0
    text = (tmp_path / "plugins" / f"{name}.py").read_text()
    assert re.search(r"^class (My\w+)\(SoftmaxAttention\):$", text, re.MULTILINE)
