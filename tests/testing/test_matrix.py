"""The matrix: no cell lies, a lie is found, and the page in the docs is what comes out."""

from __future__ import annotations

import re
from pathlib import Path

from lightformer.catalogue.index import read_catalogue
from tests.e2e.harness import ROOT, apart

PAGE = ROOT / "docs" / "matrix.md"
COUNTS = re.compile(
    r"(\d+) attentions x (\d+) positions x (\d+) wirings x 3 roles x 2 kinds of rows x 2 uses: "
    r"([\d,]+) cells, ([\d,]+) works, ([\d,]+) refused, ([\d,]+) broken"
)

LEAKS = '''"""A plugin with a leak that shows in packed rows alone."""

from dataclasses import replace

from torch import Tensor

from lightformer import register
from lightformer.attention import AttentionContext
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import Position
from lightformer.softmax_attention import SoftmaxAttention


@register("attention", "leaks")
class Leaks(SoftmaxAttention):
    """Looks into other documents."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        mask = replace(context.mask, query_documents=None, key_documents=None)
        return super().forward(hidden_states, replace(context, mask=mask))

    def check_position(self, position: Position) -> None:
        if type(position).__name__ == "AlibiPosition":
            raise ConfigError("leaks does not like alibi; choose rope.")
'''


def test_every_cell_works_or_is_refused_by_a_sentence(tmp_path: Path) -> None:
    page = tmp_path / "matrix.md"
    own = ["--no-local-plugins", "--plugins", "plugins/talking_heads.py"]  # and no others of yours
    done = apart("plugins", "matrix", *own, "--markdown", page, cwd=ROOT, timeout=900)
    assert done.code == 0, done.out + done.err
    found = COUNTS.search(done.out)
    assert found is not None, done.out
    attentions, positions, wirings, cells, works, refused, broken = (
        int(number.replace(",", "")) for number in found.groups()
    )
    assert attentions >= 9
    built_in = read_catalogue(folder=None)
    assert positions > len(built_in.names("position")) >= 8
    assert set(built_in.names("position")) < set(done.out.splitlines()[0].split())
    assert "rope(scaling=yarn)" in done.out.splitlines()[0]  # not the first forms alone
    assert wirings >= len(built_in.names("block"))
    assert cells == attentions * positions * wirings * 12 == works + refused
    assert broken == 0
    sentences = re.findall(
        r"^(?:\d+|refused in all of them \([^)]*\)): (.*)$", done.out, re.MULTILINE
    )
    assert len(sentences) >= 4
    for sentence in sentences:
        assert sentence.endswith(".")
        assert len(sentence) > 40
    assert page.read_text() == PAGE.read_text(), (
        "make the page anew: lightformer plugins matrix --markdown"
    )


def test_a_cell_that_lies_is_called_broken(tmp_path: Path) -> None:
    (tmp_path / "leaks.py").write_text(LEAKS)
    words = "--plugins leaks.py --attention leaks,mha --position alibi,learned --block post_norm"
    done = apart("plugins", "matrix", *words.split(), cwd=tmp_path)
    assert done.code == 1, done.err
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line}
    assert rows["leaks"] == [
        "1",
        "2",
        "3",
        "4",
    ]  # refused with alibi; broken in each role with learned
    assert rows["mha"] == ["ok", "ok"]
    assert "1: refused: leaks does not like alibi; choose rope." in done.out
    for number, role in ((2, "encoder"), (3, "decoder"), (4, "cross")):
        line = rf"^{number}: broken \({role}, packed train\): document \d apart, train\(\): \d\.\de"
        assert re.search(line, done.out, re.MULTILINE), done.out
    found = COUNTS.search(done.out)
    assert found is not None
    assert int(found[7]) == 3


LIES = '''"""Plugins whose bugs show in some cells alone."""

from dataclasses import replace

from torch import Tensor

from lightformer import register
from lightformer.attention import AttentionContext
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import NoPosition
from lightformer.softmax_attention import SoftmaxAttention


class Spoilt(SoftmaxAttention):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.none = (NoPosition(dims),)

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        return super().forward(hidden_states, self.spoil(context))


@register("attention", "deaf")
class Deaf(Spoilt):
    """Takes every position, and uses none."""

    def spoil(self, context: AttentionContext) -> AttentionContext:
        return replace(context, position=self.none[0])


@register("attention", "leaks_in_use")
class LeaksInUse(Spoilt):
    """Sees the future in eval()."""

    def spoil(self, context: AttentionContext) -> AttentionContext:
        causal = context.mask.is_causal and self.training
        return replace(context, mask=replace(context.mask, is_causal=causal))


@register("attention", "reads_padding")
class ReadsPadding(Spoilt):
    """Reads the padding of another sequence."""

    def spoil(self, context: AttentionContext) -> AttentionContext:
        if context.memory is None:
            return context
        return replace(context, mask=replace(context.mask, is_token=None))


@register("attention", "refuses_late")
class RefusesLate(Spoilt):
    """Refuses packed rows when they are there."""

    def spoil(self, context: AttentionContext) -> AttentionContext:
        if context.mask.query_documents is not None:
            raise ConfigError("refuses_late takes no packed rows; leave out document_ids.")
        return context
'''


def test_each_lie_is_found_in_its_cells(tmp_path: Path) -> None:
    (tmp_path / "lies.py").write_text(LIES)
    names = "deaf,leaks_in_use,reads_padding,refuses_late"
    words = f"--plugins lies.py --attention {names} --position alibi --block post_norm --markdown page.md"
    done = apart("plugins", "matrix", *words.split(), cwd=tmp_path)
    assert done.code == 1, done.err
    rows = dict(re.findall(r"^(\w+) +([\d ]+)$", done.out, re.MULTILINE))
    notes = dict(re.findall(r"^(\d+): (.*)$", done.out, re.MULTILINE))
    said = {name: [notes[number] for number in rows[name].split()] for name in names.split(",")}
    assert said["deaf"] == ["broken (padded train): positions, train(): 0.0e+00 (at least 1e-06)"]
    trained = [note for note in said["leaks_in_use"] if "padded train)" in note]
    assert len(trained) == 2  # as decoder, and as one that reads another sequence
    assert all("blind to what is later, eval()" in note for note in trained)
    assert all(note.startswith("broken (cross, padded") for note in said["reads_padding"])
    late = (
        "refused too late, when it runs: refuses_late takes no packed rows; leave out document_ids."
    )
    assert said["refuses_late"] == [f"broken (packed generate, packed train): {late}"]
