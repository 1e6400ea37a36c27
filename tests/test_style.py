"""The style of all that is tracked: checked by ruff and mypy, and free of what belongs to one machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lightformer

ROOT = Path(lightformer.__file__).parents[1]
TEXT = {".py", ".md", ".yaml", ".toml", ".txt", ".ipynb", ""}
MACHINE = re.compile(r"(?<![\w.*-])/(?:work|root|home|tmp|Users)/")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")


def tracked() -> list[Path]:
    """The text files of the repository; where there is no git, all that are not hidden or made."""
    git = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = (
        git.stdout.split("\0")
        if git.returncode == 0
        else [str(p.relative_to(ROOT)) for p in ROOT.rglob("*.*")]
    )
    return [
        ROOT / name
        for name in names
        if name and Path(name).suffix in TEXT and (ROOT / name).is_file()
    ]


@pytest.mark.parametrize(
    "tool", ["ruff check", "ruff format --check", "mypy"], ids=lambda tool: tool.replace(" ", "-")
)
def test_tool_is_content(tool: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *tool.split()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def places(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_path_of_one_machine() -> None:
    assert MACHINE.search("open('/home/me/x')")
    files = [path for path in tracked() if path != Path(__file__) and "tests" not in path.parts]
    assert len(files) > 50
    assert not places(MACHINE, files)


def test_nothing_is_left_unfinished() -> None:
    assert UNFINISHED.search("# TO" + "DO: later")
    assert not places(UNFINISHED, tracked())
