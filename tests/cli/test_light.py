"""What must answer at once imports nothing heavy."""

import subprocess
import sys
from pathlib import Path

ASK = """
import contextlib, io, sys
from lightformer.cli.main import main
for line in {lines!r}:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = main(line.split())
    heavy = {{'torch', 'lightning', 'jsonargparse', 'numpy', 'tokenizers'}} & set(sys.modules)
    print([line, code, *sorted(heavy)])
"""

LINES = {
    "": 0,
    "--help": 0,
    "--version": 0,
    "fit --help": 0,
    "validate --help": 0,
    "fit --model.help MaskedLM": 0,
    "fit --model.backbone.help": 0,
    "fit --model.backbone.attention.help gqa": 0,
    "fit --data.help PythonDocs": 0,
    "fit --data.tokenizer.help": 0,
    "fit --data.examples.help": 0,
    "fit --trainer.help": 0,
    "prepare --help": 0,
    "prepare --data.help TextFiles": 0,
    "data": 0,
    "data show --help": 0,
    "plugins list": 0,
    "plugins show attention gqa": 0,
    "generate --help": 0,
    "nonsense": 2,
    "fit": 2,
    "fit --config missing.yaml": 2,
    "prepare": 2,
    "data shwo": 2,
    "fit --config broken.yaml": 2,
    "fit --config bomb.yaml": 2,
    "fit --config good.yaml --model.backbone.atention gqa": 2,
    "fit --config good.yaml --plugins nowhere": 2,
    "generate missing.ckpt": 4,
    "fill-mask": 2,
}


def test_light_answers_import_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("model: MaskedLM\ndata: PythonDocs\n")
    (tmp_path / "broken.yaml").write_text("model: [\n")
    (tmp_path / "bomb.yaml").write_text("a: &a [*a]\n")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(lines=list(LINES))],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [str([line, code]) for line, code in LINES.items()]


def test_the_module_runs_as_a_command(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "lightformer", "fti"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: There is no command 'fti'. Did you mean 'fit'?")


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = f"{sys.executable} -m lightformer plugins list; echo rc $? >&2"
    done = subprocess.run(
        ["/bin/sh", "-c", f"({command}) | true"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.stderr in ("rc 141\n", "rc 0\n")  # 0 where all was written before the reader left
