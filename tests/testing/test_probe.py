"""The probe: its sequences are what they say, its best is the best, its figures can be had again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lightformer import attention, position
from lightformer.attention import AttentionContext, AttentionSpec
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import Position
from lightformer.registry import make_spec, names
from lightformer.softmax_attention import SoftmaxAttention
from lightformer.testing.probe import (
    ORDER_LENGTH,
    TEXT_LENGTH,
    Batch,
    ProbeResult,
    Reader,
    learn,
    perplexity,
    probe,
    tasks,
    texts,
    unseen,
)
from lightformer.testing.probe_data import (
    IGNORED,
    LETTERS,
    SYMBOLS,
    TASKS,
    Source,
    generator,
    order_task,
)
from lightformer.testing.probe_sheet import Entry, ProbeSheet, _position_for, pairs_of, survey
from tests.e2e.harness import here


def test_the_source_knows_each_next_token() -> None:
    source = Source(3, vocab_size=5, lags=((2, 0.3), (7, 0.4)))
    ids = torch.randint(5, (2, 11))
    found = source.probabilities(ids)
    assert found.shape == (2, 5, 5)
    for row in range(2):
        for place in range(6, 11):
            for token in range(5):
                expected = 0.3 * float(source.chain[ids[row, place], token])
                expected += 0.3 * (ids[row, place - 1] == token)  # stands 2 before what comes next
                expected += 0.4 * (ids[row, place - 6] == token)
                assert abs(float(found[row, place - 6, token]) - expected) < 1e-6


def test_the_text_is_as_the_source_says_and_its_best_perplexity_is_what_counting_finds() -> None:
    source = Source(1, vocab_size=3, lags=((2, 0.4),))
    ids = source.sample(3000, 63, generator(5))
    counts: Counter[tuple[int, ...]] = Counter()
    for row in ids.tolist():
        counts.update(zip(row, row[1:], row[2:], strict=False))
    surprise = 0.0
    for (first, second, third), count in counts.items():
        total = sum(counts[first, second, token] for token in range(3))
        share = 0.6 * float(source.chain[second, third]) + 0.4 * (first == third)
        assert abs(count / total - share) < 2.0 * total**-0.5  # 4 standard errors
        surprise -= count * math.log(count / total)
    counted = math.exp(surprise / counts.total())
    assert counted < 2.5  # of 3: there is something to know
    assert abs(source.best_perplexity(ids, 61) / counted - 1.0) < 1e-3


@pytest.mark.parametrize(("lags", "best"), [(((2, 1.0),), 1.0), (((1, 0.5), (3, 0.5)), None)])
def test_the_best_perplexity_where_it_is_known_by_hand(
    lags: tuple[tuple[int, float], ...], best: float | None
) -> None:
    source = Source(0, vocab_size=7, lags=lags)
    ids = source.sample(40, 25, generator(2))
    if best is None:  # a toss between two tokens, where they differ
        tossed = (ids[:, 9:-1] != ids[:, 7:-3]).float().mean()
        best = float(2.0**tossed)
    assert source.best_perplexity(ids, 15) == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_the_answer_of_a_task_follows_from_what_is_read(task: str) -> None:
    ids, labels = order_task(task, 5, 8, generator(1))
    for row, asked in zip(ids.tolist(), labels.tolist(), strict=True):
        read, separator, rest = row[:8], row[8], row[9:]
        answer = [label for label in asked if label != IGNORED]
        assert separator == LETTERS + TASKS.index(task) < SYMBOLS
        assert asked[: len(asked) - len(answer)] == [IGNORED] * (len(asked) - len(answer))
        assert max(read) < LETTERS
        if task == "lookup":
            known = dict(zip(read[::2], read[1::2], strict=True))
            assert len(known) == 4
            assert sorted(rest) == sorted(known)
            assert answer == [known[key] for key in rest]
        else:
            assert len(set(read)) == 8
            assert answer == (read if task == "copy" else read[::-1])
            assert rest == answer[:-1]
    assert len({tuple(row) for row in ids.tolist()}) == 5


def test_the_keys_are_asked_in_another_order() -> None:
    ids, _ = order_task("lookup", 50, 8, generator(1))
    assert (ids[:, 0:8:2] == ids[:, 9:]).float().mean() < 0.5


def test_a_task_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="task must be one of copy, reverse, lookup, but is 'so'"):
        order_task("so", 2, 4, generator(0))
    with pytest.raises(ConfigError, match="length must be from 2 to 24, but is 25"):
        order_task("copy", 2, 25, generator(0))


def test_no_held_out_sequence_is_learnt_from() -> None:
    source = Source()
    learnt = {tuple(row) for ids, _ in texts(source, 40, 3) for row in ids.tolist()}
    assert len(learnt) == 40 * 32
    held_out = source.sample(64, 4 * TEXT_LENGTH + 1, unseen(3))
    assert not learnt & {
        tuple(row) for row in held_out.unfold(1, TEXT_LENGTH, 1).flatten(0, 1).tolist()
    }
    read = {tuple(row[:12]) for ids, _ in tasks(40, 3) for row in ids.tolist()}
    for task in TASKS:
        ids, _ = order_task(task, 512, ORDER_LENGTH, unseen(3))
        assert not read & {tuple(row[:12]) for row in ids.tolist()}


def test_text_is_labelled_with_what_comes_next() -> None:
    source = Source()
    for ids, labels in texts(source, 2, 0):
        assert ids.shape == labels.shape == (32, TEXT_LENGTH)
        assert ids[:, 1:].equal(labels[:, :-1])
    assert len({tuple(labels[0].tolist()) for _, labels in texts(source, 2, 0)}) == 2


def test_tasks_are_learnt_from_all_lengths_up_to_the_longest() -> None:
    lengths: set[int] = set()
    for ids, labels in tasks(30, 0):
        assert ids.shape == labels.shape == (96, ids.shape[1])
        assert ids.shape[1] <= 2 * ORDER_LENGTH
        places = (ids >= LETTERS).int()
        assert (places.sum(dim=1) == 1).all()
        lengths |= set(places.argmax(dim=1).tolist())
        asked = (labels != IGNORED).int()
        assert (asked.argmax(dim=1) >= places.argmax(dim=1)).all()
    assert lengths == set(range(2, ORDER_LENGTH + 1))


def test_a_probe_is_the_same_for_the_same_seed_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    found = probe(attention.mha(), position.learned(), steps=2, seed=1)
    assert torch.rand(2).equal(expected)
    assert found == probe(attention.mha(), position.learned(), steps=2, seed=1)
    other = probe(attention.mha(), position.learned(), steps=2, seed=2)
    assert found.perplexities[1] != other.perplexities[1]
    assert found.seconds > 0.0
    assert found.perplexities[2] is found.perplexities[4] is None  # learned positions end
    for shares in found.accuracies.values():
        assert shares[1] is not None
        assert shares[2] is None
    with pytest.raises(ConfigError, match="steps must be above 0, but is 0"):
        probe(attention.mha(), position.rope(), steps=0)


def trained(batches: Iterator[Batch], attends: AttentionSpec | None = None) -> float:
    """Returns the perplexity of a model of the source that has learnt from these batches."""
    source, steps = Source(), 70
    torch.manual_seed(0)
    model = Reader(attends or attention.mha(), position.none(), source.vocab_size, TEXT_LENGTH)
    learn(model, batches, steps)
    found = perplexity(model, source.sample(64, TEXT_LENGTH + 1, unseen(0)), TEXT_LENGTH)
    assert found is not None
    return found


def test_labels_that_are_shifted_show() -> None:
    def shifted() -> Iterator[Batch]:
        for ids, labels in texts(Source(), 70, 0):
            yield ids[:, :-1], labels[:, 1:]

    assert trained(texts(Source(), 70, 0)) < 10.0
    assert trained(shifted()) > 14.0


class Leaks(SoftmaxAttention):
    """Looks ahead."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        ahead = hidden_states.roll(-1, dims=1)
        return ahead + super().forward(hidden_states, context)


def test_a_leak_shows_as_a_perplexity_below_the_best() -> None:
    best = Source().best_perplexity(Source().sample(64, TEXT_LENGTH + 1, unseen(0)), 16)
    leaks = make_spec("attention", "leaks", Leaks)()
    assert trained(texts(Source(), 70, 0), leaks) < best < 6.0


class Unturned(SoftmaxAttention):
    """Refuses what rotates."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)

    def check_position(self, position: Position) -> None:
        if type(position).rotate is not Position.rotate:
            raise ConfigError("Unturned cannot rotate.")


def test_each_attention_gets_a_position_that_it_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _position_for(("linear", ())) == ("rope", ())
    found = make_spec("attention", "unturned", Unturned)
    monkeypatch.setattr("lightformer.testing.probe_sheet.spec_of", _specs_with(found))
    assert _position_for(("unturned", ())) == ("learned", ())


def _specs_with(found: type[AttentionSpec]) -> object:
    from lightformer.testing import probe_sheet

    known = probe_sheet.spec_of
    return lambda kind, form: found() if form[0] == "unturned" else known(kind, form)


def test_what_is_probed() -> None:
    usual = pairs_of()
    assert {a for (a, _), (p, _) in usual if p == "rope"} == set(names("attention"))
    assert {p for (a, _), (p, _) in usual if a == "mha"} == set(names("position"))
    assert len(usual) == len(names("attention")) + len(names("position")) - 1
    assert pairs_of(["linear"], ["none", "alibi"]) == [
        (("linear", ()), ("none", ())),
        (("linear", ()), ("alibi", ())),
    ]
    windows = pairs_of(["sliding_window"])
    assert len(windows) == 2
    assert all(form == ("rope", ()) for _, form in windows)
    assert [p for _, (p, _) in pairs_of(None, ["shaw"])] == ["shaw", "shaw"]
    rotary = [dict(options) for _, (_, options) in pairs_of(None, ["rope"])]
    assert [form["scaling"]["name"] for form in rotary if "scaling" in form] == ["yarn"]


def test_a_pair_that_is_refused_is_shown_as_refused() -> None:
    (entry,) = survey(pairs_of(["linear"], ["alibi"]), steps=2)
    assert isinstance(entry.result, str)
    sheet = ProbeSheet([entry])
    assert sheet.rows()[1:] == [["linear", "alibi", *["refused"] * 9]]
    assert f"refused (linear, alibi): {entry.result}" in sheet.legend()
    assert sheet.summary().endswith("0 pairs probed in 0 s of processor time, 1 refused")


def test_the_sheet_shows_every_figure() -> None:
    shares: dict[int, float | None] = {1: 0.75, 2: None}
    result = ProbeResult({1: 6.25, 2: 7.5, 4: None}, 5.0, dict.fromkeys(TASKS, shares), 3.0)
    sheet = ProbeSheet([Entry("mha", "rope", result)], steps=7, seed=2)
    heading, best, row = sheet.rows()
    assert heading[:6] == ["attention", "position", "ppl 1x", "ppl 2x", "ppl 4x", "copy 1x"]
    assert best == ["best possible", "", "5.00", "5.00", "5.00", *["1.00"] * 6]
    assert row == ["mha", "rope", "6.25", "7.50", "ends", *["0.75", "ends"] * 3]
    assert "7 steps each, seed 2" in str(sheet)
    lines = sheet.markdown().splitlines()
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|") == 12


def test_the_command_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    words = ("plugins", "probe", "--attention", "linear", "--position", "alibi")
    page = tmp_path / "probe.md"
    done = here(*words, "--steps", 2, "--markdown", page, cwd=tmp_path)
    assert done.code == 0
    assert "refused (linear, alibi): AlibiPosition adds to the scores" in done.out
    assert "refused (linear, alibi): AlibiPosition adds to the scores" in page.read_text()
    done = here(*words, "--steps", "0", cwd=tmp_path)
    assert done.code == 2
    assert "--steps must be a whole number above 0, but is '0'." in done.error
    done = here("plugins", "probe", "--position", "ropee", cwd=tmp_path)
    assert done.code == 2
    assert "Did you mean 'rope'?" in done.error


def test_what_is_slow_is_run_by_name_alone(request: pytest.FixtureRequest) -> None:
    chosen = [item.name for item in request.session.items if item.get_closest_marker("slow")]
    assert bool(chosen) == (request.config.option.markexpr == "slow")


@pytest.mark.slow
def test_the_whole_benchmark() -> None:
    found: dict[str, ProbeResult] = {}
    for entry in survey(pairs_of(), processes=2):
        assert isinstance(entry.result, ProbeResult), entry
        found.setdefault(
            entry.position if entry.attention == "mha" else entry.attention, entry.result
        )

    def ppl(name: str, times: int) -> float:
        figure = found[name].perplexities[times]
        assert figure is not None
        return figure

    def share(name: str, task: str, times: int = 1) -> float:
        figure = found[name].accuracies[task][times]
        assert figure is not None
        return figure

    best = found["rope"].best
    for name, result in found.items():
        assert result.best == best
        for figure in result.perplexities.values():
            assert figure is None or figure > 0.99 * best, f"{name} knows what cannot be known"
    # At the length of the training, exact distances are what the text asks for.
    for name in ("rope", "learned", "shaw", "t5", "sinusoidal"):
        assert ppl(name, 1) < 1.15 * best
    for name in ("none", "alibi", "linear", "sliding_window(window=3)"):
        assert ppl(name, 1) > 1.25 * best
    # Beyond it: alibi and shaw go on as they were, rope and waves do not, learned positions end.
    for name in ("alibi", "shaw"):
        assert ppl(name, 4) < 1.1 * ppl(name, 1)
    for name in ("rope", "sinusoidal", "t5"):
        assert ppl(name, 4) > 1.4 * ppl(name, 1)
    assert ppl("alibi", 4) < ppl("rope", 4)
    assert found["learned"].perplexities[2] is found["learned"].perplexities[4] is None
    # Order: what knows of places does all three tasks better than what does not.
    for name in ("rope", "learned", "alibi", "fire"):
        assert share(name, "copy") > 0.85
        assert share(name, "reverse") > share("none", "reverse") + 0.3
        assert share(name, "lookup") > share("none", "lookup") + 0.15
    for name in ("alibi", "fire"):  # and twice as long
        assert share(name, "copy", 2) > 0.8
        assert share(name, "copy", 2) > share("none", "copy", 2) + 0.2
    # A window of three tokens does not see what it should copy; running sums look up badly.
    assert share("sliding_window(window=3)", "copy") < 0.2
    assert share("linear", "lookup") < share("rope", "lookup") - 0.15
