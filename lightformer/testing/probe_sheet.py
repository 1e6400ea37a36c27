"""Probes of many pairs of an attention and a position, and what came of them as a table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.testing.forms import Form, first_forms_of, forms_of, label, spec_of
from lightformer.testing.pool import in_processes
from lightformer.testing.probe import (
    ORDER_LENGTH,
    SCORED,
    STEPS,
    TEXT_LENGTH,
    TIMES,
    ProbeResult,
    probe,
)
from lightformer.testing.probe_data import LETTERS, TASKS

Pair = tuple[Form, Form]
"""An attention and a position."""

USUAL: Pair = (("mha", ()), ("rope", ()))
DIMENSIONS = Dimensions(
    hidden_size=64,
    num_heads=4,
    head_dim=16,
    intermediate_size=128,
    num_layers=2,
    max_seq_len=TEXT_LENGTH,
)


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    Args:
        attention: name and options
        position: name and options
        result: what the probe found, or the sentence by which the pair is refused
    """

    attention: str
    position: str
    result: ProbeResult | str


def pairs_of(
    attentions: Iterable[str] | None = None, positions: Iterable[str] | None = None
) -> list[Pair]:
    """Returns what is to be probed.

    Without names each position goes with attention mha, and each attention with position rope, or with another that
    it accepts, in the first of their forms. What is named is probed in every form, and if both are, each with each.
    """
    if attentions is not None and positions is not None:
        return list(
            itertools.product(forms_of("attention", attentions), forms_of("position", positions))
        )
    found: list[Pair] = []
    if attentions is None:
        found += [(USUAL[0], p) for p in _forms("position", positions)]
    if positions is None:
        found += [(a, _position_for(a)) for a in _forms("attention", attentions)]
    return [pair for number, pair in enumerate(found) if pair not in found[:number]]


def _forms(kind: str, named: Iterable[str] | None) -> list[Form]:
    return first_forms_of(kind) if named is None else forms_of(kind, named)


def _position_for(attention: Form) -> Form:
    """Returns rope, or the first of some others that the attention accepts; rope if none."""
    for form in (USUAL[1], ("learned", ()), ("none", ())):
        try:
            spec_of("attention", attention)(DIMENSIONS).check_position(
                spec_of("position", form)(DIMENSIONS)
            )
        except ConfigError:
            continue
        return form
    return USUAL[1]


def survey(
    pairs: list[Pair],
    *,
    steps: int = STEPS,
    seed: int = 0,
    processes: int = 1,
    plugins: Iterable[str] = (),
    folder: str | None = None,
) -> Iterator[Entry]:
    """Probes every pair.

    Args:
        pairs: attentions and positions
        steps: optimizer steps of each model
        seed: of weights and data
        processes: how many pairs are probed at a time
        plugins: modules and files that a process must load, see `load_plugins`
        folder: folder of local plugins that it must load
    """
    one = partial(_probe_one, steps=steps, seed=seed)
    yield from in_processes(one, pairs, processes=processes, plugins=plugins, folder=folder)


def _probe_one(pair: Pair, *, steps: int, seed: int) -> Entry:
    attention, position = pair
    named = label(attention), label(position)
    try:
        specs = spec_of("attention", attention), spec_of("position", position)
        return Entry(*named, probe(*specs, steps=steps, seed=seed))
    except ConfigError as refusal:
        return Entry(*named, str(refusal))


class ProbeSheet:
    """What came of a survey, in a form to read.

    Args:
        entries: of the survey
        steps: optimizer steps of each model
        seed: of weights and data
    """

    def __init__(self, entries: Iterable[Entry], *, steps: int = STEPS, seed: int = 0) -> None:
        self.entries, self.steps, self.seed = list(entries), steps, seed

    def rows(self) -> list[list[str]]:
        """Returns the table, its heading first."""
        lengths = [f"ppl {times}x" for times in TIMES]
        heading = ["attention", "position", *lengths, *(f"{t} {n}x" for t in TASKS for n in (1, 2))]
        return [heading, *self._best(), *map(self._row, self.entries)]

    def _best(self) -> list[list[str]]:
        bests = {f"{e.result.best:.2f}" for e in self.entries if isinstance(e.result, ProbeResult)}
        perfect = ["1.00"] * 2 * len(TASKS)
        return [["best possible", "", *[best] * len(TIMES), *perfect] for best in sorted(bests)]

    def _row(self, entry: Entry) -> list[str]:
        named = [entry.attention, entry.position]
        if isinstance(entry.result, str):
            return [*named, *["refused"] * (len(TIMES) + 2 * len(TASKS))]
        found = [
            *entry.result.perplexities.values(),
            *(share for shares in entry.result.accuracies.values() for share in shares.values()),
        ]
        return [*named, *("ends" if figure is None else f"{figure:.2f}" for figure in found)]

    def legend(self) -> list[str]:
        """Returns what the columns mean, then why pairs are refused."""
        pairs = ORDER_LENGTH // 2
        lines = [
            f"ppl: perplexity of {SCORED} tokens of held-out text, read at the end of {TEXT_LENGTH} tokens (1x, the "
            "length of the training) and of 2 and 4 times as many; the tokens are the same each time. The text is "
            "made: a token repeats what stood 3 or 7 places before it, each in a quarter of the cases, or else is "
            "drawn by the token before it; best possible is the perplexity to one who knows this.",
            f"copy, reverse, lookup: share of right letters in answers to new sequences: {ORDER_LENGTH} letters to "
            f"be copied or reversed, or {pairs} pairs of a key and a value, whose values are asked for (1x, the "
            f"longest of the training), and twice as many. A guess is right in {1 / LETTERS:.2f} of the cases, and "
            f"of the values that were read in {1 / pairs:.2f} (1x) and {0.5 / pairs:.2f} (2x).",
            f"Causal models of 2 layers, hidden_size 64 and 4 heads, one for the text and one for the three tasks, "
            f"{self.steps} steps each, seed {self.seed}, on the CPU. So it shows what is learnt soon.",
            "ends: the position has no more places.",
        ]
        refusals = [
            (e.attention, e.position, e.result) for e in self.entries if isinstance(e.result, str)
        ]
        return lines + [f"refused ({a}, {p}): {why}" for a, p, why in refusals]

    def summary(self) -> str:
        """Returns the counts and the time."""
        results = [e.result for e in self.entries if isinstance(e.result, ProbeResult)]
        seconds = sum(result.seconds for result in results)
        refused = len(self.entries) - len(results)
        return (
            f"{len(results)} pairs probed in {seconds:.0f} s of processor time, {refused} refused"
        )

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = [
            "  ".join(f"{e:{w}}" for e, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        return "\n".join([*table, "", *self.legend(), "", self.summary()])

    def markdown(self) -> str:
        """Returns the table and what it means, to stand in a page."""
        rows = self.rows()
        table = [f"| {' | '.join(row)} |" for row in rows]
        table.insert(1, "|---|---" + "|--:" * (len(rows[0]) - 2) + "|")
        notes = [f"- {line}" for line in self.legend()]
        return "\n".join([*table, "", *notes, "", f"{self.summary()}.", ""])
