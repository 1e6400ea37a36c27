"""What was measured, as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

Way = Callable[[int], float]
"""One way to do something: given the number of the repeat, it returns a figure, of which more is better."""


def medians(ways: Mapping[str, Way], repeats: int) -> dict[str, float]:
    """Returns the figure of each way, the one in the middle of several.

    The ways take turns, so that what else the machine does strikes them all alike.
    """
    found = [{name: way(repeat) for name, way in ways.items()} for repeat in range(repeats)]
    return {name: median(figures[name] for figures in found) for name in ways}


@dataclass(frozen=True)
class Table:
    """The figures of several ways to do the same.

    Args:
        title: what was done, and how much of it
        unit: of the figures
        figures: by the name of each way
        digits: behind the point
        against: for a way of others, the way of ours that it is compared with
        note: what is lacking, and why
    """

    title: str
    unit: str
    figures: Mapping[str, float]
    digits: int = 0
    against: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None

    def __str__(self) -> str:
        width = max(map(len, self.figures))
        lines = [self.title, f"  {'':{width}}  {self.unit:>12}"]
        if self.against:
            lines[1] += "  lightformer is"
        for name, figure in self.figures.items():
            lines.append(f"  {name:{width}}  {figure:12,.{self.digits}f}")
            if name in self.against:
                lines[-1] += f"  {self.figures[self.against[name]] / figure:8.2f} times"
        return "\n".join(lines + ([f"  {self.note}"] if self.note else []))
