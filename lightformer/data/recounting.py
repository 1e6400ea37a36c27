"""A run that goes on with another number of micro-batches in a step."""

from __future__ import annotations

from typing import Any


def recount(loops: dict[str, Any], before: int, now: int) -> bool:
    """Rewrites how many micro-batches a run has had, so that it stands at the same optimizer step.

    Args:
        loops: what a checkpoint of Lightning has under this name, for the loop of training; changed in place
        before: micro-batches of a step when it was written
        now: micro-batches of a step from here on

    Returns:
        Whether that could be done; in the middle of a step it cannot, and nothing is changed.
    """
    counts = [loops["epoch_loop.batch_progress"][part] for part in ("total", "current")]
    if any(part["processed"] % before or part["ready"] % before for part in counts):
        return False
    for part in counts:
        behind = part["processed"] - part["completed"]  # 1, where the last one is just ending
        for name in ("ready", "started", "processed"):
            part[name] = part[name] // before * now
        part["completed"] = part["processed"] - behind
    return True
