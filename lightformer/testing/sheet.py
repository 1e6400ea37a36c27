"""The matrix as a page: a table of attentions by positions, with a note for each way of being refused."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from lightformer.testing.matrix import BROKEN, REFUSED, ROLES, WORKS, Cell

Case = tuple[str, str, str, str, str]
"""Role, rows, use, outcome and reason of a cell that does not work."""

Pair = tuple[str, str]

HEADING = """# What works with what

Made by `lightformer plugins matrix --markdown FILE`, which tries every attention with every position and wiring, each
in all forms that it is registered with: a small model is built, its promises are measured, and it learns a small task.
What does not work is refused by the sentence that is given here: a pair of parts when the model is built, a model that
cannot generate when its cache is.
"""


class Sheet:
    """What came of a matrix, in a form to read.

    Args:
        cells: of the matrix
    """

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.cells = list(cells)
        self.attentions = list(dict.fromkeys(cell.attention for cell in self.cells))
        self.positions = list(dict.fromkeys(cell.position for cell in self.cells))
        self.blocks = list(dict.fromkeys(cell.block for cell in self.cells))
        self.cases: dict[Pair, dict[Case, set[str]]] = defaultdict(lambda: defaultdict(set))
        for cell in self.cells:
            found = self.cases[cell.attention, cell.position]
            if cell.outcome != WORKS:
                case = (cell.role, cell.rows, cell.use, cell.outcome, cell.why)
                found[case].add(cell.block)
        shapes = Counter(
            frozenset(case for case in found if case[3] == REFUSED) for found in self.cases.values()
        )  # what is broken is never usual
        self.usual = shapes.most_common(1)[0][0] if shapes else frozenset()
        self.notes: list[str] = []

    @property
    def counts(self) -> Counter[str]:
        return Counter(cell.outcome for cell in self.cells)

    def entry(self, attention: str, position: str) -> str:
        """Returns what stands in the table: `ok`, or the numbers of the notes that say what is amiss."""
        found = self.cases[attention, position]
        whole = [set(found[case]) == set(self.blocks) for case in found]
        if set(found) == self.usual and all(whole):
            return "ok"
        numbers = []
        for text in self._notes_of(found):
            if text not in self.notes:
                self.notes.append(text)
            numbers.append(self.notes.index(text) + 1)
        return " ".join(map(str, numbers))

    def _notes_of(self, found: dict[Case, set[str]]) -> list[str]:
        """One note for each reason, with the cases that it holds for."""
        reasons: dict[tuple[str, str], list[tuple[Case, set[str]]]] = defaultdict(list)
        for case, blocks in found.items():
            if case not in self.usual or blocks != set(self.blocks):
                reasons[case[3], case[4]].append((case, blocks))
        notes = []
        for (outcome, why), cases in reasons.items():
            roles = [role for role in ROLES if any(case[0] == role for case, _ in cases)]
            places = sorted({f"{case[1]} {case[2]}" for case, _ in cases})
            named = sorted({block for _, blocks in cases for block in blocks})
            where = [] if len(roles) == len(ROLES) else roles
            where += [] if len(places) == 4 else places
            where += [] if named == sorted(self.blocks) else named
            inside = f" ({', '.join(where)})" if where else ""
            notes.append(f"{outcome}{inside}: {why}")
        return notes

    def rows(self) -> list[list[str]]:
        """Returns the table, its heading first."""
        heading = ["", *self.positions]
        return [
            heading,
            *([a, *(self.entry(a, p) for p in self.positions)] for a in self.attentions),
        ]

    def legend(self) -> list[str]:
        """Returns what `ok` stands for, then the notes."""
        blocks = ", ".join(self.blocks)
        lines = [
            f"ok: it trains as encoder, as decoder and as a decoder that reads another sequence, on padded rows and "
            f"on packed ones, with every wiring ({blocks}), and a decoder generates."
        ]
        grouped: dict[str, set[str]] = defaultdict(set)
        for role, rows, use, outcome, why in sorted(self.usual):
            if outcome == REFUSED:
                grouped[why].add(f"{role} {rows} {use}")
        lines += [
            f"refused in all of them ({', '.join(sorted(w))}): {why}" for why, w in grouped.items()
        ]
        return [*lines, *(f"{n}: {text}" for n, text in enumerate(self.notes, start=1))]

    def summary(self) -> str:
        """Returns the counts."""
        total = ", ".join(f"{self.counts[o]:,} {o}" for o in (WORKS, REFUSED, BROKEN))
        shape = f"{len(self.attentions)} attentions x {len(self.positions)} positions x {len(self.blocks)} wirings"
        return f"{shape} x 3 roles x 2 kinds of rows x 2 uses: {len(self.cells):,} cells, {total}"

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = [
            "  ".join(f"{e:{w}}" for e, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        return "\n".join([*table, "", *self.legend(), "", self.summary()])

    def markdown(self) -> str:
        """Returns the page."""
        rows = self.rows()
        table = [f"| {' | '.join(row)} |" for row in rows]
        table.insert(1, "|---" * len(rows[0]) + "|")
        notes = [f"- {line}" for line in self.legend()]
        return "\n".join([HEADING, *table, "", *notes, "", f"{self.summary()}.", ""])
