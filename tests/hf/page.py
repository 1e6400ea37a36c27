"""Writes the page of what was measured: `python -m tests.hf.page`, where `transformers` is installed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch

import lightformer
from tests.hf.measuring import NAUGHT, Parity, measure
from tests.hf.theirs import CASES, transformers

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"
TEXT = """# As near to transformers as rounding lets it be

Models of `transformers` {theirs} with random weights, at odd sizes, read from the folders that they wrote by
lightformer {ours}, both in float32 with torch {torch} on a CPU. Made by `python -m tests.hf.page`, of what the tests
measure.

Of scores, loss and gradients the largest difference is given, as a share of the largest number, rounded up to one
digit. There are three batches: padded on the right, the same at full length, and padded on the left, with token types
where the model has them. Of gradients it is that of the parameter where it is largest, and of one that is rounding
alone (below {naught}) the share of the largest gradient of all. A bare encoder with a pooler is compared in what that
gives, too.

*Left* says whether rows padded on the left were among them. `yes` is yes as it stands. `told` is yes if `transformers`
is handed `position_ids` that do not count the padding: lightformer finds them by the mask, while these models count
the padding where nothing tells them, so that **who calls them without `position_ids` gets other numbers there**. With
`-` they were not: these heads read the first token, and `transformers` takes padding for it. *In and out* says whether
a folder that is read and written again has the same bits in every tensor, and *greedy* whether 64 generated tokens are
the same.

What is said of dropout is read too, and written again. The models of `transformers` drop elements in a few more places
(before the pooler of RoBERTa) or fewer (not after the feed-forwards of ALBERT), which changes training, and no result.

A text is framed as the folder's own template says, by one token at most on each side; a folder with a longer frame is
refused, unless its model goes on with a prompt. A pair is laid out as the template for pairs says (RoBERTa's puts two
`</s>` between the texts). Of generation_config.json the tokens that end a text count here; what else it says, such as a
`repetition_penalty`, `transformers` follows by itself, while lightformer samples as it is told, and only writes it out
again. A head that is said to be tied and holds weights of its own is read with these, as `transformers` 5 does.

| model | of | scores | loss | gradients | left | in and out | greedy |
|---|---|---|---|---|---|---|---|
{rows}
"""

LEFT = {True: "yes", False: "told", None: "-"}


def rounded_up(differences: Iterable[float]) -> str:
    """Returns the largest, rounded up to one digit."""
    largest = max(differences)
    if largest == 0:
        return "0"
    power = math.floor(math.log10(largest))
    return f"{math.ceil(largest / 10**power) * 10.0**power:.0e}".replace("e-0", "e-")


def row(case: str, found: Parity) -> str:
    """Returns the line of a case."""
    family, head, _ = CASES[case]
    cells = [
        case,
        f"{family}{head}",
        *(rounded_up(part.values()) for part in (found.scores, found.loss, found.gradients)),
        LEFT[found.unaided],
        "same bits" if found.same_bits else "**other bits**",
        "-" if found.greedy is None else "same" if found.greedy else "**other**",
    ]
    return f"| {' | '.join(cells)} |"


def page() -> str:
    """Returns the page, measured anew."""
    return TEXT.format(
        theirs=transformers.__version__,
        ours=lightformer.__version__,
        torch=torch.__version__,
        naught=f"{NAUGHT:.0e}".replace("e-0", "e-"),
        rows="\n".join(row(case, measure(case)) for case in CASES),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
