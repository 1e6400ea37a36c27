"""Plugins from each of the three sources: found, listed, loaded once; and what is wrong with one."""

import sys
from pathlib import Path

import pytest

from lightformer import plugins, registry
from lightformer.catalogue.index import read_catalogue
from lightformer.cli.main import main
from lightformer.errors import PluginError

PART = '''"""A plugin."""
from torch import Tensor
from lightformer import register
from lightformer.dimensions import Dimensions
from lightformer.position import Position


@register("position", "{name}")
class Mine(Position):
    """Does nothing in particular.

    Args:
        strength: how much of nothing
    """

    def __init__(self, dims: Dimensions, /, *, strength: float = 0.7) -> None:
        super().__init__()
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "plugins").mkdir()
    return tmp_path


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    info = folder / "site" / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lightformer.plugins]\nnice = {module}\n")
    monkeypatch.syspath_prepend(str(folder / "site"))


def test_local_file(folder: Path, capsys) -> None:
    (folder / "plugins" / "local_one.py").write_text(PART.format(name="local_one"))
    (folder / "plugins" / "_hidden.py").write_text("raise SystemError")
    listed = read_catalogue().find("position", "local_one")
    assert listed.source == "plugins/local_one.py"
    assert [(o.name, o.default, o.doc) for o in listed.options] == [
        ("strength", "0.7", "how much of nothing")
    ]
    assert "local_one" not in registry.names("position")  # listing runs nothing
    path = str(folder / "plugins" / "local_one.py")
    assert plugins.load_plugins() == {"plugins/local_one.py": path}
    assert capsys.readouterr().err == "plugins: plugins/local_one.py\n"
    assert registry.find("position", "local_one")().options() == {"strength": 0.7}
    plugins.load_plugins()
    assert capsys.readouterr().err == ""  # once


def test_named_file_and_module(folder: Path, capsys) -> None:
    (folder / "parts").mkdir()
    (folder / "parts" / "file_one.py").write_text(PART.format(name="file_one"))
    (folder / "module_one.py").write_text(PART.format(name="module_one"))
    given = ["parts/file_one.py", "module_one"]
    catalogue = read_catalogue(given)
    assert catalogue.find("position", "file_one").source == "parts/file_one.py"
    assert catalogue.find("position", "module_one").source == "module_one"
    plugins.load_plugins(given)
    assert capsys.readouterr().err == ""  # who names a file need not be told
    assert registry.find("position", "file_one").source == str(folder / "parts" / "file_one.py")
    assert registry.find("position", "module_one").source == "module_one"


def test_installed_package_with_modules_of_its_own(folder: Path, monkeypatch) -> None:
    installed(folder, monkeypatch, "nice_parts")
    package = folder / "site" / "nice_parts"
    package.mkdir()
    (package / "__init__.py").write_text("from . import inner\n")
    (package / "inner.py").write_text(PART.format(name="installed_one"))
    assert read_catalogue().find("position", "installed_one").source == "entry point nice"
    assert plugins.load_plugins() == {"entry point nice": "nice_parts"}
    assert "installed_one" in registry.names("position")


def test_list_and_show_tell_where_it_comes_from(folder: Path, capsys) -> None:
    (folder / "plugins" / "local_two.py").write_text(PART.format(name="local_two"))
    assert main(["plugins", "list", "--kind", "position"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  local_two   Does nothing in particular.  [plugins/local_two.py]" in lines
    assert lines[0] == "position"
    assert not any(line.startswith("attention") for line in lines)
    assert main(["plugins", "show", "position", "local_two"]) == 0
    text = capsys.readouterr().out
    assert "--model.backbone.position.strength  float  (default 0.7)" in text
    assert "how much of nothing" in text
    assert main(["plugins", "list", "--no-local-plugins"]) == 0
    assert "local_two" not in capsys.readouterr().out


def test_what_is_no_file_is_left_out_and_what_cannot_be_read_is_named(
    folder: Path, monkeypatch, capsys
) -> None:
    (folder / "plugins" / "dir.py").mkdir()
    assert main(["plugins", "list", "--kind", "norm"]) == 0
    assert plugins.load_plugins() == {}
    (folder / "plugins" / "shut.py").write_text("")
    monkeypatch.setattr(Path, "read_bytes", _denied)
    capsys.readouterr()
    assert main(["plugins", "list", "--kind", "norm"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith("plugins/shut.py cannot be read: Permission denied.\n")


def _denied(path: Path) -> bytes:
    raise PermissionError(13, "Permission denied", path)


def test_each_command_has_help_of_its_own(capsys) -> None:
    assert main(["plugins", "list", "-h"]) == 0
    own = capsys.readouterr().out
    assert own.startswith("usage: lightformer plugins list [--kind KIND]\n")
    assert "--skip" not in own
    for words in (["plugins"], ["plugins", "--help"]):
        assert main(words) == 0
        assert "--skip" in capsys.readouterr().out


def test_switch_of_the_environment(folder: Path, monkeypatch) -> None:
    (folder / "plugins" / "local_three.py").write_text("raise SystemError")
    monkeypatch.setenv(plugins.SWITCH, "0")
    assert plugins.find_sources() == []
    assert plugins.load_plugins() == {}


ERRORS = {
    "import torch\n\nx = 1 / 0\n": (
        "Plugin plugins/{name}.py has an error at plugins/{name}.py:3: "
        "ZeroDivisionError: division by zero."
    ),
    "def f():\n    raise KeyError('k')\n\n\nf()\n": (
        "Plugin plugins/{name}.py has an error at plugins/{name}.py:2: KeyError: 'k'."
    ),
    "import torch\n\ntorch.zeros(2) @ torch.zeros(3)\n": (
        "Plugin plugins/{name}.py has an error at plugins/{name}.py:3: "
        "RuntimeError: inconsistent tensor size, expected tensor [2] and src [3] to have the same "
        "number of elements, but got 2 and 3 elements respectively."
    ),
    "from lightformer import register\n\n\n@register('position', 'rope')\ndef mine(dims, /): ...\n": (
        "Plugin plugins/{name}.py has an error at plugins/{name}.py:4: "
        "lightformer_plugins.{name}:mine registers position 'rope', but "
        "lightformer.parts.position.rope:RotaryPosition has that name already. Rename one of the two."
    ),
    "def f(:\n": (
        "Plugin plugins/{name}.py has an error at plugins/{name}.py:1: SyntaxError: invalid syntax."
    ),
    "import sys\nsys.exit('no')\n": (
        "Plugin plugins/{name}.py has an error at plugins/{name}.py:2: SystemExit: no."
    ),
    "import torhc\n": (
        "Plugin plugins/{name}.py has an error at plugins/{name}.py:1: "
        "ModuleNotFoundError: No module named 'torhc'."
    ),
}


@pytest.mark.parametrize("text", ERRORS, ids=range(len(ERRORS)))
def test_error_in_a_plugin_names_its_file_and_line(folder: Path, text: str, request) -> None:
    name = f"broken_{request.node.callspec.id}"
    (folder / "plugins" / f"{name}.py").write_text(text)
    with pytest.raises(PluginError) as caught:
        plugins.load_plugins()
    assert str(caught.value) == ERRORS[text].format(name=name)
    assert plugins.loaded() == {}


def test_plugin_that_is_not_python_is_named_when_it_is_read(folder: Path, capsys) -> None:
    (folder / "plugins" / "bad_syntax.py").write_text("x = 1\ndef f(:\n")
    assert main(["plugins", "list"]) == 2
    path = folder / "plugins" / "bad_syntax.py"
    assert (
        capsys.readouterr().err == f"error: {path}:2: this is not valid Python: invalid syntax.\n"
    )


def test_registering_in_a_loop_is_left_to_the_import(folder: Path, capsys) -> None:
    (folder / "loop.py").write_text(
        "from lightformer import register\nfor n in 'ab':\n    register('position', n)(object)\n"
    )
    assert read_catalogue(["loop.py"]).dynamic == ["loop.py"]
    assert main(["plugins", "list", "--plugins", "loop.py"]) == 0
    assert "loop.py may register more when it runs" in capsys.readouterr().out
