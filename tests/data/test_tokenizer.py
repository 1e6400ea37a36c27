from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Literal

import pytest
import tokenizers
from corpora import sentences
from tokenizers import models, normalizers, pre_tokenizers

from lightformer.data.sentences import split_sentences
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.errors import ConfigError, DataError
from lightformer.tokenizer import Tokenizer, TokenizerConfig
from lightformer.vocabulary import Vocabulary

Kind = Literal["bpe", "wordpiece", "byte_level", "characters"]
KINDS: list[Kind] = ["bpe", "wordpiece", "byte_level", "characters"]
TEXT = (
    sentences(301, 0)
    + '\n\n  Moonlight\'s  12 (stones)...\n\tTiger, "lamp"! Über déjà 雨。雪 blue\n'
)


def train(kind: Kind, **options: object) -> Tokenizer:
    config = TokenizerConfig(kind, 600 if kind == "byte_level" else 151, **options)  # type: ignore[arg-type]
    return train_tokenizer(iter([TEXT]), config)


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_have_fixed_numbers(kind: Kind) -> None:
    tokenizer = train(kind)
    assert tokenizer.vocabulary == Vocabulary(
        size=len(tokenizer), pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, eos_id=3
    )
    assert [tokenizer.token(i) for i in range(5)] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.mark.parametrize("kind", ["bpe", "byte_level", "characters"])
def test_decoding_gives_the_text_back(kind: Kind) -> None:
    tokenizer = train(kind)
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_wordpiece_decodes_to_readable_words() -> None:
    tokenizer = train("wordpiece", lowercase=True)
    ids = tokenizer.encode("Moonlight, river stones.")
    assert any(tokenizer.token(i).startswith("##") for i in ids)
    assert tokenizer.decode(ids) == "moonlight, river stones."


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_give_the_tokens_of_the_whole(kind: Kind) -> None:
    tokenizer = train(kind)
    pieces = split_sentences(TEXT)
    assert len(pieces) > 200
    assert [*chain(*tokenizer.encode_pieces(pieces))] == tokenizer.encode(TEXT)


LETTERS = {token: number for number, token in enumerate(["<unk>", "▁", "\n", "\t", *".oneTwĠĊab"])}
FRONTS = {  # each puts a space in front of a text
    "llama 2": (None, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), []),
    "metaspace": (pre_tokenizers.Metaspace(), None, []),
    "bytes": (pre_tokenizers.ByteLevel(), None, []),
    "llama 2, which joins breaks": (
        None,
        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        [("\n", "\n")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FRONTS)
def test_pieces_give_the_tokens_of_the_whole_where_a_tokenizer_puts_spaces_in_front(
    name: str,
) -> None:
    pre_tokenizer, normalizer, merges = FRONTS[name]
    vocabulary = LETTERS | {"\n\n": len(LETTERS)}
    inner = tokenizers.Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>"))
    if normalizer is not None:
        inner.normalizer = normalizer
    if pre_tokenizer is not None:
        inner.pre_tokenizer = pre_tokenizer
    tokenizer = Tokenizer(inner)
    spaces = ["One.", " Two.", "  One.", "    Two one.", " two"]
    assert [*chain(*tokenizer.encode_pieces(spaces))] == tokenizer.encode("".join(spaces))
    breaks = ["One.", "\nTwo.", "\n\n\tOne.", " Two.", "\t\none"]
    whole = tokenizer.encode("".join(breaks))
    assert [*chain(*tokenizer.encode_pieces(breaks))] == whole
    ids, owners = tokenizer.encode_words(breaks)
    assert [[i for i, of in zip(ids, owners, strict=True) if of == n] for n in range(5)] == (
        tokenizer.encode_pieces(breaks)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_in_a_prompt_is_seen_and_nothing_is_added(kind: Kind) -> None:
    tokenizer = train(kind)
    ids = tokenizer.encode("red [MASK] blue")
    assert ids.count(4) == 1
    assert not {0, 2, 3} & set(ids)
    left, right = tokenizer.encode("red"), tokenizer.encode(" blue")
    if kind != "characters":
        assert ids == [*left, 4, *right]
    assert "[MASK]" in tokenizer.decode(ids, skip_special_tokens=False)
    assert "[MASK]" not in tokenizer.decode(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_survives_json(kind: Kind) -> None:
    tokenizer = train(kind, lowercase=True)
    again = Tokenizer.from_json(tokenizer.to_json())
    assert again.encode(TEXT) == tokenizer.encode(TEXT)
    assert again.fingerprint == tokenizer.fingerprint
    assert tokenizer.encode("RED") == tokenizer.encode("red")
    assert train(kind).fingerprint != tokenizer.fingerprint


def test_the_same_text_gives_the_same_tokenizers_in_another_process() -> None:
    code = (
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_tokenizer import KINDS, train\n"
        "print(*(train(kind).fingerprint for kind in KINDS))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True
    )
    assert run.stdout.split() == [train(kind).fingerprint for kind in KINDS], run.stderr


def test_unknown_text_becomes_unknown_tokens() -> None:
    assert train("characters").encode("ж") == [1]
    assert train("wordpiece").encode("ж") == [1]
    assert 1 not in train("byte_level").encode("ж")


def test_a_tokenizer_of_the_users_is_understood(tmp_path: Path) -> None:
    known = {"!": 0, "a": 1, "<|endoftext|>": 2, "<unk>": 3}
    inner = tokenizers.Tokenizer(models.WordLevel(known, "<unk>"))
    inner.add_special_tokens(["<|endoftext|>"])
    inner.save(str(tmp_path / "tokenizer.json"))
    tokenizer = train_tokenizer(iter([]), TokenizerConfig(file=str(tmp_path / "tokenizer.json")))
    assert tokenizer.vocabulary == Vocabulary(size=4, pad_id=0, pads=False, unk_id=3, eos_id=2)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_known_where_words_begin(kind: Kind) -> None:
    tokenizer = train(kind, lowercase=True)
    starts = tokenizer.vocabulary.word_starts
    assert len(starts) == len(tokenizer)
    for word in ("moon", "stones", "tiger", "déjà", "apples"):
        first, *others = tokenizer.encode(f" {word}")
        assert starts[first]
        assert not any(starts[i] for i in others)
    text = "red moonlight\triver\nghost " * 3
    words = [len(tokenizer.encode(f" {word}")) for word in text.split()]
    if kind == "byte_level":  # there a line break is of the word that it is before
        assert [starts[i] for i in tokenizer.encode("a\nb")] == [False, True, False]
    found = [starts[i] for i in tokenizer.encode(f" {text}")]
    if kind == "wordpiece":
        assert found == [i == 0 for length in words for i in range(length)]
    assert sum(found) == len(words) + (kind != "wordpiece")  # the last space


FOREIGN = {
    "metaspace": (models.Unigram([("▁a", -1.0), ("b", -2.0), ("\n", -3.0)], 1), None, [1, 0, 1]),
    "bytes": (
        models.BPE({"Ġa": 0, "ĊĊ": 1, "č": 2, "b": 3, "##": 4}, []),
        pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.ByteLevel()]),
        [1, 1, 1, 0, 0],
    ),
    "letters that are not bytes": (models.BPE({"▁č": 0, "č": 1, "Ġ": 2}, []), None, [1, 0, 0]),
    "bpe of pieces": (
        models.BPE({"a": 0, "##b": 1}, [], continuing_subword_prefix="##"),
        None,
        [1, 0],
    ),
    "pieces that are all whole": (models.WordPiece({"a": 0, "b": 1}, unk_token="a"), None, []),
    "words": (models.WordLevel({"a": 0, "b": 1}, "a"), pre_tokenizers.Whitespace(), []),
    "ends of words": (models.BPE({"a": 0, "b</w>": 1}, [], end_of_word_suffix="</w>"), None, []),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_the_words_of_other_tokenizers_are_known_or_not(name: str) -> None:
    model, pre_tokenizer, expected = FOREIGN[name]
    inner = tokenizers.Tokenizer(model)
    if pre_tokenizer is not None:
        inner.pre_tokenizer = pre_tokenizer
    assert Tokenizer(inner).vocabulary.word_starts == tuple(map(bool, expected))


def test_faulty_tokenizers_are_refused(
    tmp_path: Path, write: Callable[[str, str | bytes], Path]
) -> None:
    path = write("tokenizer.json", "{}")
    with pytest.raises(DataError) as raised:
        Tokenizer.from_file(path)
    assert str(raised.value).startswith(
        f"tokenizer.file {path} is no tokenizer.json of the tokenizers library ("
    )
    with pytest.raises(DataError) as raised:
        Tokenizer.from_file(tmp_path / "none.json")
    assert str(raised.value) == (
        f"tokenizer.file {tmp_path / 'none.json'} cannot be read (No such file or directory); "
        "give a tokenizer.json."
    )


def test_faulty_options_are_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        TokenizerConfig("byte_level", 300)
    assert str(raised.value) == (
        "tokenizer.vocab_size must be at least 512 for byte_level, not 300."
    )
    with pytest.raises(ConfigError) as raised:
        TokenizerConfig("words")  # type: ignore[arg-type]
    assert str(raised.value) == (
        "tokenizer.kind must be bpe, wordpiece, byte_level or characters, not 'words'."
    )


def test_no_text_trains_no_tokenizer() -> None:
    with pytest.raises(DataError) as raised:
        train_tokenizer(iter(["", " \n"]), TokenizerConfig())
    assert str(raised.value) == (
        "A tokenizer cannot be trained, because there is no text to train it on."
    )


@pytest.mark.parametrize(
    "text", [TEXT, "", " \n ", "a", "no end " * 3001, "x" * 9001, "A b. C d.\n\n"]
)
def test_sentences_lose_no_character(text: str) -> None:
    pieces = split_sentences(text)
    assert "".join(pieces) == text
    assert all(piece.strip() for piece in pieces) or not text.strip()
    assert max(map(len, pieces), default=0) <= 4100


def test_sentences_end_where_a_reader_sees_it() -> None:
    text = 'He came. "Who?" she said (e.g. softly). It is 3.5 km.\n\nA title\n\n雨。雪'
    assert split_sentences(text) == [
        "He came.",
        ' "Who?" she said (e.g. softly).',
        " It is 3.5 km.",
        "\n\nA title",
        "\n\n雨。",
        "雪",
    ]
