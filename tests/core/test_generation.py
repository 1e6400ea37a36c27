"""Generation: with a cache equals without, a batch equals its rows, sampling is what it says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightformer import Backbone, attention, position
from lightformer.errors import ConfigError
from lightformer.generation import Sampling, generate
from lightformer.registry import Spec
from lightformer.vocabulary import Vocabulary
from tests.variants import HIDDEN, VOCAB, backbone, tokens

LIKELIEST = Sampling(temperature=0)
NEVER = Vocabulary(size=VOCAB, pad_id=0)


class Jumbled(nn.Linear):
    """A head whose choice turns on the smallest difference; a plain one would repeat one token."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        return (50 * super().forward(hidden_states)).sin()


def models(**parts: Any) -> tuple[Backbone, nn.Module]:
    return backbone(**parts), Jumbled(HIDDEN, VOCAB, dtype=torch.float64)


def alone(net: Backbone, head: nn.Module, prompt: Tensor, number: int) -> list[int]:
    """Greedy generation of one row, the plain way: all of it is read for each token."""
    row = prompt[None]
    for _ in range(number):
        row = torch.cat((row, head(net(row))[:, -1:].argmax(dim=-1)), dim=1)
    return row[0, len(prompt) :].tolist()


PARTS = [
    {"position": position.rope()},
    {"position": position.alibi(), "attention": attention.gqa(num_kv_heads=2)},
    {"position": position.learned(), "attention": attention.sliding_window(window=3)},
]


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("use_cache", [False, True])
def test_the_likeliest_tokens(parts: dict[str, Spec], use_cache: bool) -> None:
    net, head = models(**parts)
    ids = tokens(batch=3)
    found = generate(net, head, ids, 9, LIKELIEST, vocabulary=NEVER, use_cache=use_cache)
    assert found.tolist() == [alone(net, head, row, 9) for row in ids]
    assert len(set(found.flatten().tolist())) > 5


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("use_cache", [False, True])
def test_left_padded_prompts_equal_each_alone(parts: dict[str, Spec], use_cache: bool) -> None:
    net, head = models(**parts)
    ids = tokens(batch=3)
    is_token = torch.arange(7) >= torch.tensor([[0], [3], [6]])
    found = generate(
        net, head, ids, 9, LIKELIEST, vocabulary=NEVER, attention_mask=is_token, use_cache=use_cache
    )
    assert found.tolist() == [
        alone(net, head, row[mask], 9) for row, mask in zip(ids, is_token, strict=True)
    ]


@pytest.mark.parametrize("parts", PARTS)
def test_sampled_with_a_cache_equals_without(parts: dict[str, Spec]) -> None:
    net, head = models(**parts)
    ids, sampling = tokens(batch=3), Sampling(temperature=0.5, top_k=9, top_p=0.9, seed=5)
    options = {"vocabulary": NEVER}
    one = generate(net, head, ids, 13, sampling, use_cache=True, **options)
    assert one.equal(generate(net, head, ids, 13, sampling, use_cache=False, **options))
    other = Sampling(temperature=0.5, top_k=9, top_p=0.9, seed=6)
    assert not one.equal(generate(net, head, ids, 13, other, **options))


def test_beyond_the_last_position() -> None:
    net, head = models(position=position.learned(), max_seq_len=8)
    ids, row = tokens(batch=1, seq=5), []
    read, first = ids[0].tolist(), 0
    for _ in range(17):
        if len(read) - first > 8:
            first = len(read) - 4  # the last half is read again
        row.append(int(head(net(torch.tensor([read[first:]])))[0, -1].argmax()))
        read.append(row[-1])
    for use_cache in (False, True):
        found = generate(net, head, ids, 17, LIKELIEST, vocabulary=NEVER, use_cache=use_cache)
        assert found.tolist() == [row]


def test_a_prompt_longer_than_the_positions() -> None:
    net, head = models(position=position.learned(), max_seq_len=5)
    found = generate(net, head, tokens(seq=11), 7, LIKELIEST, vocabulary=NEVER)
    assert found.shape == (2, 7)


@pytest.mark.parametrize("use_cache", [False, True])
def test_after_the_end_there_is_padding(use_cache: bool) -> None:
    net, head = models()
    ids = tokens(batch=3)
    free = [alone(net, head, row, 9) for row in ids]
    end = next(token for token in free[1][2:] if token not in free[0])
    vocabulary = Vocabulary(size=VOCAB, pad_id=18, eos_id=end)
    found = generate(net, head, ids, 9, LIKELIEST, vocabulary=vocabulary, use_cache=use_cache)
    for row, whole in zip(found.tolist(), free, strict=True):
        length = whole.index(end) + 1 if end in whole else 9
        assert row == whole[:length] + [18] * (9 - length)


def test_it_stops_when_every_row_has_ended() -> None:
    net, head = models()
    ids = tokens(batch=1)
    free = alone(net, head, ids[0], 9)
    reads: list[int] = []
    net.register_forward_hook(lambda *_: reads.append(1))
    vocabulary = Vocabulary(size=VOCAB, pad_id=18, eos_id=free[0])
    found = generate(net, head, ids, 9, LIKELIEST, vocabulary=vocabulary)
    assert found.tolist() == [[free[0]] + [18] * 8]
    assert len(reads) == 1


def test_with_a_cache_each_token_is_read_once() -> None:
    net, head = models()
    sizes: list[int] = []
    net.blocks[0].register_forward_hook(lambda _, given, __: sizes.append(given[0].shape[1]))
    generate(net, head, tokens(), 5, LIKELIEST, vocabulary=NEVER)
    assert sizes == [7, 1, 1, 1, 1]


@pytest.mark.parametrize("training", [False, True])
def test_dropout_is_off_and_the_mode_is_given_back(training: bool) -> None:
    net, head = models(dropout=0.4)
    net.train(training)
    ids = tokens()
    one = generate(net, head, ids, 9, LIKELIEST, vocabulary=NEVER)
    assert one.equal(generate(net, head, ids, 9, LIKELIEST, vocabulary=NEVER))
    assert net.training is training


def naive_narrow(logits: list[float], top_k: int | None, top_p: float | None) -> set[int]:
    """Which tokens stay in the running, one at a time."""
    order = sorted(range(len(logits)), key=lambda i: -logits[i])
    order = order[:top_k]
    powers = [torch.tensor(logits[i], dtype=torch.float64).exp() for i in order]
    kept, share = set(), 0.0
    for token, power in zip(order, powers, strict=True):
        if top_p is not None and share >= top_p:
            break
        kept.add(token)
        share += float(power / sum(powers))
    return kept


@pytest.mark.parametrize("top_k", [None, 1, 4, 100])
@pytest.mark.parametrize("top_p", [None, 1e-6, 0.5, 0.9, 1.0])
def test_narrowing(top_k: int | None, top_p: float | None) -> None:
    logits = torch.randn(5, VOCAB)
    found = Sampling(top_k=top_k, top_p=top_p).narrow(logits)
    for row, narrowed in zip(logits, found, strict=True):
        kept = naive_narrow(row.tolist(), top_k, None if top_p == 1.0 else top_p)
        assert {i for i in range(VOCAB) if narrowed[i].isfinite()} == kept
        assert all(narrowed[i] == row[i] for i in kept)


def test_tokens_are_drawn_by_their_shares() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0]]).expand(20_000, -1)
    drawn = Sampling(temperature=2.0, seed=3).chooser(torch.device("cpu"))(logits)
    shares = torch.bincount(drawn, minlength=3) / 20_000
    torch.testing.assert_close(shares, (logits[0] / 2).softmax(dim=-1), rtol=0, atol=0.015)


def test_without_a_seed_each_choice_is_new() -> None:
    logits = torch.zeros(100, VOCAB)
    one, other = (Sampling().chooser(torch.device("cpu"))(logits) for _ in range(2))
    assert not one.equal(other)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperature": -1.0}, "temperature must not be negative, but is -1.0."),
        ({"top_k": 0}, "top_k must be at least 1, but is 0."),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, but is 0.0."),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, but is 1.1."),
    ],
)
def test_refusals(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Sampling(**options)
    assert str(caught.value) == sentence


def test_a_negative_number_of_tokens() -> None:
    net, head = models()
    with pytest.raises(ConfigError) as caught:
        generate(net, head, tokens(), -1, LIKELIEST, vocabulary=NEVER)
    assert str(caught.value) == "max_new_tokens must not be negative, but is -1."
    assert generate(net, head, tokens(), 0, LIKELIEST, vocabulary=NEVER).shape == (2, 0)


@pytest.mark.parametrize("use_cache", [False, True])
def test_an_encoder_generates_nothing(use_cache: bool) -> None:
    net, head = models(is_causal=False)
    with pytest.raises(ConfigError) as caught:
        generate(net, head, tokens(), 2, LIKELIEST, vocabulary=NEVER, use_cache=use_cache)
    assert str(caught.value) == (
        "generate needs a causal backbone, but this one looks to both sides, and was never asked for the token "
        "that comes next; set is_causal to true, and train it so."
    )
