"""The matrix: no cell lies, a lie is found, and the page in the docs is what comes out."""

from __future__ import annotations

import re
from pathlib import Path

from lightformer.registry import names
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
    done = apart("plugins", "matrix", "--markdown", page, cwd=ROOT, timeout=900)
    assert done.code == 0, done.out + done.err
    found = COUNTS.search(done.out)
    assert found is not None, done.out
    attentions, positions, wirings, cells, works, refused, broken = (
        int(number.replace(",", "")) for number in found.groups()
    )
    assert attentions >= 9
    assert positions == len(names("position")) >= 8
    assert wirings >= len(names("block"))
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
    words = "--plugins leaks.py --attention leaks,mha --position alibi,learned --block pre_norm"
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
        line = rf"^{number}: broken \({role}, packed train\): document \d apart: \d\.\de"
        assert re.search(line, done.out, re.MULTILINE), done.out
    found = COUNTS.search(done.out)
    assert found is not None
    assert int(found[7]) == 3
