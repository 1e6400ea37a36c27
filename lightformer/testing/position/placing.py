"""What its hooks give: by position ids, row by row, piece by piece."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from lightformer.position import NoPosition, Position
from lightformer.testing.position.trial import (
    LATER,
    NOTHING,
    SEQ,
    SWAP,
    PositionTrial,
    alike,
    answers,
    ask,
    cut,
    places,
    turns,
)
from lightformer.testing.promise import (
    DoesNotApply,
    Figure,
    change,
    difference,
    promise,
    truth,
    worst,
)

ROUNDING = 1e-5
"""By so much a length may change by what float32 leaves out."""


@promise("position")
def runs(trial: PositionTrial) -> Figure:
    """Each hook gives the shape that it should, at any length.

    Breach: embed gives (batch or 1, seq, hidden), rotate what it is given, bias and content_bias
    (batch or 1, heads, query, key). Queries may be fewer than keys.
    """
    part, sizes = trial.part(), trial.sizes
    lengths = ((1, 1), (1, 5), (SEQ, SEQ), (3, sizes.max_seq_len))
    for queries, keys in lengths:
        rights = {
            "embed": (queries, sizes.hidden_size),
            "rotate": (sizes.num_heads, queries, sizes.head_dim),
            "bias": (sizes.num_heads, queries, keys),
            "content_bias": (sizes.num_heads, queries, keys),
        }
        for rows in (1, 2):
            key_ids = torch.arange(keys).expand(rows, -1)
            asked = trial.question(key_ids[:, keys - queries :], key_ids=key_ids)
            for name, answer in ask(part, asked).items():
                found, right = tuple(answer.shape), rights[name]
                if found not in ((1, *right), (2, *right)):
                    return truth(False, f"{name} {found}, not {(2, *right)}")
    return truth(True, f"{len(lengths)} lengths")


@promise("position", needs=("runs",))
def acts(trial: PositionTrial) -> Figure:
    """It acts through a hook, and tells truly through which.

    Breach: a hook is misspelt; or set on the object and not on its class; or acts_in_attention or acts_on_scores is
    overridden, so that an attention takes it and ignores it. What is to do nothing derives from NoPosition.
    """
    part = trial.part()
    if isinstance(part, NoPosition):
        raise DoesNotApply(NOTHING)
    found = list(answers(part, trial.question(places(0, 1))))
    scores = part.acts_in_attention() and part.acts_on_scores()
    told = {
        "embed": type(part).embed is not Position.embed,
        "rotate": part.acts_in_attention(),
        "bias": scores,
        "content_bias": scores,
    }
    untold = [name for name in found if not told[name]]
    text = f"by {', '.join(found)}" if found else "no hook does anything"
    return truth(bool(found) and not untold, f"not told: {', '.join(untold)}" if untold else text)


@promise("position", needs=("runs",))
def finite(trial: PositionTrial) -> Figure:
    """In a row, far apart or at one place: all is finite.

    Breach: the logarithm or the root of a distance of 0, whose gradient is infinite; a division by one; or a power that
    grows beyond float32.
    """
    row = torch.arange(SEQ)[None]
    cases = {
        "all at one place": torch.zeros_like(row),
        "in a row": row,
        "far apart": row * ((trial.sizes.max_seq_len - 1) // (SEQ - 1)),
    }
    for name, ids in cases.items():
        model = trial.model(is_causal=False).float().train()
        out = model(trial.tokens(), position_ids=ids)
        torch.autograd.backward(out.square().sum())
        found = {"what comes out": out}
        found |= {f"the gradient of {n}": p.grad for n, p in model.named_parameters()}
        if wrong := [n for n, t in found.items() if t is not None and not t.isfinite().all()]:
            return replace(truth(False, f"not finite: {wrong[0]}"), where=name)
    return truth(True, f"{len(cases)} sorts of ids")


@promise("position", needs=("finite",))
def steady(trial: PositionTrial) -> Figure:
    """The same ids give the same, after longer ones and in train().

    Breach: it keeps something of an earlier call, such as a table that grows, or a stretch for the longest so far; or
    it changes in place what it is given. Places that are drawn in training are no mistake (--skip steady).
    """
    part, ids = trial.part(), torch.arange(SEQ)[None]
    asked = trial.question(ids)
    first = ask(copy.deepcopy(part), asked)
    ask(part, trial.question(2 * ids))
    again = alike(ask(part, asked), first)
    longer = trial.question(torch.arange(trial.sizes.max_seq_len)[None], batch=3)
    ask(part, longer)
    figures = {
        "after others": again,
        "after longer ones": alike(ask(part, asked), first),
        "train()": alike(ask(part.train(), asked), first),
    }
    for _ in range(2):  # what is remembered may act only on what comes next
        ask(part, longer)
    return worst({**figures, "after train()": alike(ask(part.eval(), asked), first)})


@promise("position", needs=("steady",))
def order(trial: PositionTrial) -> Figure:
    """Order matters: tokens that change places come out otherwise.

    Breach: what the hooks give is the same everywhere, as slopes are that were rounded to 0.
    """
    ask(trial.part(), trial.question(places(0, 1)))
    model, ids = trial.model(is_causal=False), torch.arange(SEQ)[None] % trial.sizes.vocab_size
    return change(model(ids[:, SWAP]), model(ids)[:, SWAP])


@promise("position", needs=("steady",))
def ids(trial: PositionTrial) -> Figure:
    """Position ids count, and not the index in the row.

    Breach: torch.arange stands where the ids should. They start at 0 after padding on the left and in each packed
    document, and where a cache ends.
    """
    part, first, second = trial.part(), slice(None, LATER), slice(LATER, None)
    asked = trial.question(torch.arange(LATER)[None])
    found = ask(part, asked.twice())
    expected = cut(found, first, first)
    if "content_bias" in found:  # which may well count what stands between a query and a key
        expected["content_bias"] = ask(part, asked)["content_bias"]
    figures = {"in a second document": alike(cut(found, second, second), expected)}
    if "content_bias" not in found:
        asked, back = trial.question(torch.arange(SEQ)[None]), SWAP.argsort()
        mixed = ask(part, asked.of(SWAP, SWAP))
        figures["in another order"] = alike(cut(mixed, back, back), ask(part, asked))
    return worst(figures)


@promise("position", needs=("steady",))
def rows(trial: PositionTrial) -> Figure:
    """Each row has its own ids, or all share one row of them.

    Breach: the ids of the first row are used for all, or rows are mixed. Ids come as (batch, seq) or as (1, seq).
    """
    part = trial.part()
    three = torch.stack([torch.arange(SEQ), torch.arange(SEQ) + 2, (torch.arange(SEQ) - 3).relu()])
    asked, figures = trial.question(three, batch=3), {}
    together = ask(part, asked)
    for row in range(3):
        own = {
            name: answer.expand(3, *answer.shape[1:])[row][None]
            for name, answer in together.items()
        }
        figures[f"row {row}"] = alike(own, ask(part, asked.of_row(row)))
    shared, each = ask(part, asked.at(three[:1])), ask(part, asked.at(three[:1].expand(3, -1)))
    figures["one for all"] = alike({n: a.expand_as(each[n]) for n, a in shared.items()}, each)
    return worst(figures)


@promise("position", needs=("ids",))
def pieces(trial: PositionTrial) -> Figure:
    """Some of the tokens get what they get among all of them.

    Breach: something depends on the length of the call, on the first or last of its ids, or on other tokens. With a
    cache, queries come a few at a time.
    """
    part, asked = trial.part(), trial.question(torch.arange(11)[None])
    queries, keys = slice(LATER, LATER + 3), slice(2, None)
    found = ask(part, asked.of(queries, keys))
    return alike(found, cut(ask(part, asked), queries, keys))


@promise("position", needs=("pieces",))
@torch.no_grad()
def lengthens(trial: PositionTrial) -> Figure:
    """Queries and keys keep their length, or `lengthens` says that they do not.

    Breach: a slip in the formula of a rotation; or what multiplies it is not told by `lengthens`, which an attention
    without a softmax asks for. Where nothing gets longer, `lengthens` must be False.
    """
    part, asked = trial.part(), trial.question(torch.arange(trial.sizes.max_seq_len)[None])
    if not turns(part):
        raise DoesNotApply("it turns nothing")
    ratio = part.rotate(asked.query, asked.query_ids).norm(dim=-1) / asked.query.norm(dim=-1)
    far = (ratio - 1.0).abs().max().item()
    told = f"lengthens is {part.lengthens}, and lengths change by {far:.1e}"
    return truth((far > ROUNDING) == part.lengthens, told)


@promise("position", needs=("steady",))
def key_heads(trial: PositionTrial) -> Figure:
    """Fewer heads of keys than of queries do no harm.

    Breach: rotate or content_bias counts on as many heads of keys as of queries. Attention gqa has fewer; each serves
    several heads of queries in a row.
    """
    part, heads = trial.part(), trial.sizes.num_heads
    several = next((n for n in range(2, heads + 1) if heads % n == 0), 1)
    asked = trial.question(places(*range(SEQ)))
    few = replace(asked, key=asked.key[:, : heads // several])
    many = replace(asked, key=few.key.repeat_interleave(several, dim=1))
    figures = {}
    if turns(part):
        found = part.rotate(few.key, few.key_ids).repeat_interleave(several, dim=1)
        figures["rotate"] = difference(found, part.rotate(many.key, many.key_ids))
    if "content_bias" in (expected := ask(part, many)):
        biases = ask(part, few)["content_bias"]
        figures["content_bias"] = difference(biases, expected["content_bias"])
    if not figures:
        raise DoesNotApply("it looks at no key")
    return worst(figures)
