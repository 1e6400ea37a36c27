"""`lightformer plugins probe`: what attentions and positions can do with length and order, as a table."""

from __future__ import annotations

import os
import sys

from lightformer.cli.plugins import Request
from lightformer.cli.proving import load_named, page_of, write_page
from lightformer.errors import ConfigError


def print_probe(request: Request) -> int:
    """Probes each position and each attention, or those that were asked for."""
    steps = _whole_number(request.options["steps"]) if "steps" in request.options else None
    page = page_of(request)
    attentions, positions = load_named(request, "attention", "position")

    from lightformer.testing.probe import STEPS
    from lightformer.testing.probe_sheet import Entry, ProbeSheet, pairs_of, survey

    steps = STEPS if steps is None else steps
    pairs, entries = pairs_of(attentions, positions), list[Entry]()
    for entry in survey(
        pairs,
        steps=steps,
        processes=min(8, os.cpu_count() or 1, len(pairs)),
        plugins=request.plugins,
        folder=request.folder,
    ):
        entries.append(entry)
        place = f"{len(entries)} of {len(pairs)}"
        print(f"{place}: {entry.attention}, {entry.position}", file=sys.stderr, flush=True)
    sheet = ProbeSheet(entries, steps=steps)
    print(sheet)
    if page is not None:
        write_page(page, sheet.markdown())
    return 0


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ConfigError(f"--steps must be a whole number above 0, but is {text!r}.")
    return int(text)
