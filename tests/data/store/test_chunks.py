"""Words that are looked up give the tokens that the tokenizer gives."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest
import tokenizers
from corpora import sentences
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, processors, trainers

from lightformer.data.store import encoder
from lightformer.data.store.chunks import (
    AT_SPACES,
    AT_WHITE_SPACE,
    LINES,
    WORDS,
    chunk_pattern,
)
from lightformer.data.store.encoder import Encoder
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.tokenizer import Tokenizer, TokenizerConfig

STRANGE = [
    *("a", "B", "moon", "Lamp", "don't", "we're", "12", "3456", ".", "...", "!?", '"', "(", "é", "\u0301", "ß", "Σ"),
    *("雨", "雪。", "\u00b4", "\u200b", "\ufeff", "\x01", "\x1c", "\x0b", "ﬁ", "½", "🙂"),
    *("##", "▁", "Ġ", "[MASK]", "<x>", "<y>", "[SEP]", "one", "国"),
    *(" ", " ", " ", " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u3000", "\x85", "\u2028"),
]  # fmt: skip
TEXT = sentences(301, 0) + " ".join(STRANGE)


def texts(seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(STRANGE, k=draw.randint(0, 29))) for _ in range(700)]


def made(
    pre_tokenizer: Any, normalizer: Any = None, model: Any = None, *added: AddedToken
) -> tokenizers.Tokenizer:
    """A tokenizer that has learned merges, also over spaces where it is let to."""
    inner = tokenizers.Tokenizer(model or models.BPE(unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        inner.normalizer = normalizer
    if isinstance(inner.model, models.Unigram):
        trainer: Any = trainers.UnigramTrainer(
            vocab_size=400, unk_token="[UNK]", special_tokens=["[UNK]"], show_progress=False
        )
    else:
        trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=["[UNK]"], show_progress=False)
    inner.train_from_iterator([*texts(1), TEXT], trainer)
    inner.add_special_tokens([AddedToken("[MASK]", lstrip=True), AddedToken("<x>"), *added])
    return inner


def framed(inner: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """With a template that also moves the places of tokens."""
    inner.post_processor = processors.RobertaProcessing(("[SEP]", 1), ("[MASK]", 2))
    return inner


def of_kind(kind: Any, **options: Any) -> tokenizers.Tokenizer:
    config = TokenizerConfig(kind=kind, vocab_size=600, **options)
    return tokenizers.Tokenizer.from_str(train_tokenizer(iter([TEXT]), config).to_json())


def split(pattern: str) -> Any:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def after(first: Any, *others: Any) -> Any:
    return pre_tokenizers.Sequence([first, *others])


BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
CASES: dict[str, tuple[Callable[[], tokenizers.Tokenizer], Any]] = {
    "bpe": (lambda: of_kind("bpe"), AT_WHITE_SPACE),
    "bpe, lowercase": (lambda: of_kind("bpe", lowercase=True), AT_WHITE_SPACE),
    "wordpiece": (lambda: of_kind("wordpiece"), AT_WHITE_SPACE),
    "wordpiece, lowercase": (lambda: of_kind("wordpiece", lowercase=True), AT_WHITE_SPACE),
    "byte_level": (lambda: of_kind("byte_level"), AT_WHITE_SPACE),
    "characters": (lambda: of_kind("characters"), AT_WHITE_SPACE),
    "gpt2": (lambda: made(pre_tokenizers.ByteLevel(add_prefix_space=False)), AT_WHITE_SPACE),
    "gpt2, a space in front": (lambda: made(pre_tokenizers.ByteLevel()), AT_SPACES),
    "modernbert": (
        lambda: made(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC()),
        AT_WHITE_SPACE,
    ),
    "gpt2's pattern": (lambda: made(after(split(WORDS[1]), BYTES)), AT_WHITE_SPACE),
    "llama3": (lambda: made(after(split(LINES[0]), BYTES)), AT_SPACES),
    "qwen": (lambda: made(after(split(LINES[1]), BYTES), normalizers.NFC()), AT_SPACES),
    "metaspace": (lambda: made(pre_tokenizers.Metaspace()), AT_SPACES),
    "metaspace first": (lambda: made(pre_tokenizers.Metaspace(prepend_scheme="first")), AT_SPACES),
    "metaspace never": (lambda: made(pre_tokenizers.Metaspace(prepend_scheme="never")), AT_SPACES),
    "unigram": (lambda: made(pre_tokenizers.Metaspace(), None, models.Unigram()), AT_SPACES),
    "words, then metaspace": (
        lambda: made(after(pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace())),
        AT_WHITE_SPACE,
    ),
    "bert's normalizer": (
        lambda: made(
            pre_tokenizers.Whitespace(),
            normalizers.Sequence([normalizers.BertNormalizer(), normalizers.NFD(), normalizers.StripAccents()]),
        ),
        AT_WHITE_SPACE,
    ),
    "bert's normalizer, a token that takes spaces": (
        lambda: made(
            pre_tokenizers.BertPreTokenizer(),
            normalizers.BertNormalizer(),
            None,
            AddedToken("<y>", lstrip=True, normalized=True),
        ),
        AT_WHITE_SPACE,
    ),
    "roberta": (lambda: framed(made(pre_tokenizers.ByteLevel(add_prefix_space=False))), AT_WHITE_SPACE),
    "roberta, a space in front": (lambda: framed(made(pre_tokenizers.ByteLevel())), AT_SPACES),
    "words, bytes with a space in front": (
        lambda: framed(made(after(pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel()))),
        AT_WHITE_SPACE,
    ),
    "digits": (lambda: made(after(pre_tokenizers.Whitespace(), pre_tokenizers.Digits())), AT_WHITE_SPACE),
    "no pre-tokenizer": (lambda: made(None), None),
    "another pattern": (lambda: made(split(r"\w+\s*|[^\w]+")), None),
    "a pattern that takes away": (
        lambda: made(pre_tokenizers.Split(Regex(WORDS[0]), "removed", invert=True)),
        None,
    ),
    "bytes that are not cut": (lambda: made(BYTES), None),
    "metaspace that cuts not": (lambda: made(pre_tokenizers.Metaspace(split=False)), None),
    "first of all, in words": (
        lambda: made(after(split(WORDS[0]), pre_tokenizers.Metaspace("▁", "first"))),
        None,
    ),
    "digits first": (
        lambda: made(after(pre_tokenizers.Digits(), pre_tokenizers.Metaspace())),
        None,
    ),
    "another normalizer": (
        lambda: made(pre_tokenizers.Metaspace(), normalizers.Replace(Regex(r"e\s+a"), "ea")),
        None,
    ),
    "nfkd without accents": (
        lambda: made(
            pre_tokenizers.ByteLevel(add_prefix_space=False),
            normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()]),
        ),
        None,
    ),
    "dropout": (
        lambda: made(pre_tokenizers.Whitespace(), None, models.BPE(unk_token="[UNK]", dropout=1e-9)),
        None,
    ),
    "a token that takes the space behind it": (
        lambda: made(pre_tokenizers.ByteLevel(), None, None, AddedToken("[SEP]", rstrip=True)),
        None,
    ),
    "a token of two words": (
        lambda: made(pre_tokenizers.ByteLevel(), None, None, AddedToken("moon moon")),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_words_that_are_looked_up_give_the_tokens_of_the_tokenizer(name: str) -> None:
    make, pattern = CASES[name]
    tokenizer = Tokenizer(make())
    encode = Encoder(tokenizer, np.dtype("<u2"))
    assert encode.pattern is pattern
    for seed in range(3):
        pieces = [*texts(seed), "", " ", *(f" {text}" for text in texts(0)[:99])]
        found, expected = encode(pieces), tokenizer.encode_pieces(pieces)
        assert found.lengths.tolist() == list(map(len, expected))
        assert found.tokens.tolist() == list(chain.from_iterable(expected))
        assert found.tokens.dtype == "<u2"


def test_words_are_learned_once_and_forgotten_when_they_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = Tokenizer(of_kind("bpe"))
    asked: list[str] = []
    real = Tokenizer.encode_words
    monkeypatch.setattr(
        Tokenizer, "encode_words", lambda self, w: (asked.extend(w), real(self, w))[1]
    )
    pieces = [f" {word}" for word in ("red", "moon", "red", "lamp", "moon", "red")] * 5
    encode = Encoder(tokenizer, np.dtype("<u2"))
    first, second = encode(pieces), encode(pieces)
    assert asked == [" red", " moon", " lamp"]
    monkeypatch.setattr(encoder, "_HELD", 100)
    third = encode(pieces)
    assert asked == [" red", " moon", " lamp"] * 2
    assert first.tokens.tolist() == second.tokens.tolist() == third.tokens.tolist()


def test_no_pieces_give_no_tokens() -> None:
    found = Encoder(Tokenizer(of_kind("bpe")), np.dtype("<u2"))([])
    assert found.tokens.tolist() == found.lengths.tolist() == []


NORMALIZERS = {
    "nothing": None,
    "nfc": normalizers.NFC(),
    "nfd": normalizers.NFD(),
    "nfkc": normalizers.NFKC(),
    "lowercase": normalizers.Lowercase(),
    "accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
    "bert": normalizers.BertNormalizer(),
    "bert, accents": normalizers.BertNormalizer(lowercase=False, strip_accents=True),
    "strip": normalizers.Strip(),
    "prepend": normalizers.Prepend("▁"),
}
PRE_TOKENIZERS = {
    "bert": pre_tokenizers.BertPreTokenizer(),
    "whitespace": pre_tokenizers.Whitespace(),
    "split": pre_tokenizers.WhitespaceSplit(),
    "gpt2": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "gpt2, a space in front": pre_tokenizers.ByteLevel(),
    "words": split(WORDS[0]),
    "characters": split(WORDS[2]),
    "llama3": after(split(LINES[0]), BYTES),
    "qwen": after(split(LINES[1]), BYTES),
    "metaspace": pre_tokenizers.Metaspace(),
    "metaspace first": pre_tokenizers.Metaspace(prepend_scheme="first"),
    "split, metaspace": after(pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()),
    "words, metaspace": after(split(WORDS[0]), pre_tokenizers.Metaspace()),
    "words, bytes": after(split(WORDS[1]), pre_tokenizers.ByteLevel()),
}


@pytest.mark.parametrize("normal", NORMALIZERS)
def test_what_is_cut_is_cut_as_the_whole(normal: str) -> None:
    normalizer = NORMALIZERS[normal]
    pieces, cut = [*texts(3), *texts(4)], 0

    def words(pre_tokenizer: Any, text: str) -> list[str]:
        plain = text if normalizer is None else normalizer.normalize_str(text)
        return [word for word, _ in pre_tokenizer.pre_tokenize_str(plain)]

    for name, pre_tokenizer in PRE_TOKENIZERS.items():
        inner = tokenizers.Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizer
        if normalizer is not None:
            inner.normalizer = normalizer
        pattern = chunk_pattern(json.loads(inner.to_str()))
        for piece in pieces if pattern else ():
            chunks = pattern.findall(piece)
            assert "".join(chunks) == piece
            apart = chain.from_iterable(words(pre_tokenizer, chunk) for chunk in chunks)
            assert [*apart] == words(pre_tokenizer, piece), (name, piece)
        cut += pattern is not None
    kept = (
        0 if normal in ("nfkc", "strip", "prepend") else 4 if normal[:3] in ("acc", "ber") else 14
    )
    assert cut == kept


def test_where_most_words_are_new_pieces_are_encoded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = Tokenizer(of_kind("bpe"))
    pieces = [f" {number} lamp{number}x" for number in range(3001)]
    expected = list(chain.from_iterable(tokenizer.encode_pieces(pieces)))
    monkeypatch.setattr(encoder, "_LEARNT", 1999)
    encode = Encoder(tokenizer, np.dtype("<u2"))
    assert encode(pieces).tokens.tolist() == expected
    asked: list[str] = []
    real = Tokenizer.encode_pieces
    monkeypatch.setattr(
        Tokenizer, "encode_pieces", lambda self, p: (asked.extend(p), real(self, p))[1]
    )
    other = [f" {number} moon" for number in range(5000, 6000)]
    found = encode(other)
    assert asked == other
    assert found.tokens.tolist() == list(chain.from_iterable(real(tokenizer, other)))
