from __future__ import annotations

from lightformer.data.benchmark.table import Table, medians


def test_ways_take_turns_and_the_middle_counts() -> None:
    order: list[str] = []

    def way(name: str, figures: list[float], repeat: int) -> float:
        order.append(name)
        return figures[repeat]

    found = medians(
        {
            "a": lambda repeat: way("a", [5.0, 1.0, 3.0], repeat),
            "b": lambda repeat: way("b", [7.0, 70.0, 9.0], repeat),
        },
        3,
    )
    assert found == {"a": 3.0, "b": 9.0}
    assert order == ["a", "b"] * 3


def test_a_table_tells_how_often_others_go_into_ours() -> None:
    table = Table(
        "much",
        "a second",
        {"ours": 3100.0, "theirs": 155.0},
        digits=1,
        against={"theirs": "ours"},
        note="one is lacking",
    )
    assert str(table).splitlines() == [
        "much",
        "              a second  lightformer is",
        "  ours         3,100.0",
        "  theirs         155.0     20.00 times",
        "  one is lacking",
    ]
    assert "lightformer is" not in str(Table("alone", "a second", {"ours": 1.0}))
