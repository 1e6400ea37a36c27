"""Makes a tokenizer from text. The same text gives the same tokenizer, on any machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers

from lightformer.errors import DataError
from lightformer.tokenizer import SPECIAL_TOKENS, Tokenizer, TokenizerConfig

# Words with the space before them, numbers, other signs, and white space (as GPT-2 cuts text).
_WORDS = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_START = "▁"  # stands for a space, or for the start of a word


def train_tokenizer(texts: Iterator[str], config: TokenizerConfig) -> Tokenizer:
    """Returns a tokenizer made from texts, or the one of `config.file`.

    Raises:
        DataError: there is no text, or the file cannot be used.
    """
    if config.file is not None:
        return Tokenizer.from_file(config.file)
    first = next((text for text in texts if text and not text.isspace()), None)
    if first is None:
        raise DataError("A tokenizer cannot be trained, because there is no text to train it on.")
    make = {
        "bpe": _bpe,
        "byte_level": _byte_level,
        "wordpiece": _wordpiece,
        "characters": _characters,
    }[config.kind]
    inner = make(chain([first], texts), config)
    if inner.get_vocab_size() <= len(SPECIAL_TOKENS):
        raise DataError("A tokenizer cannot be trained, because the text holds no characters.")
    inner.add_special_tokens(_special(config.kind in ("bpe", "byte_level")))
    return Tokenizer(inner)


def _special(spaced: bool) -> list[AddedToken]:
    """The special tokens; where a token holds the space before it, [MASK] takes that space too."""
    return [AddedToken(t, special=True, lstrip=spaced and t == "[MASK]") for t in SPECIAL_TOKENS]


def _train(
    inner: tokenizers.Tokenizer, texts: Iterator[str], size: int, alphabet: list[str] | None = None
) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=_special(True),
        initial_alphabet=alphabet or [],
        min_frequency=2,
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)


def _bpe(texts: Iterator[str], config: TokenizerConfig) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=False))
    if config.lowercase:
        inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="never", split=False),
        ]
    )
    inner.decoder = decoders.Metaspace(prepend_scheme="never", split=False)
    _train(inner, texts, config.vocab_size)
    return inner


def _byte_level(texts: Iterator[str], config: TokenizerConfig) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(models.BPE())
    if config.lowercase:
        inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    _train(inner, texts, config.vocab_size, pre_tokenizers.ByteLevel.alphabet())
    return inner


def _wordpiece(texts: Iterator[str], config: TokenizerConfig) -> tokenizers.Tokenizer:
    """BERT's pieces. The trainer of `tokenizers` for them gives others on each run, so that its BPE
    trainer finds them here, with the start of a word marked, and they are spelt anew."""
    normalizer = normalizers.BertNormalizer(lowercase=config.lowercase)
    finder = tokenizers.Tokenizer(models.BPE(unk_token="[UNK]"))
    finder.normalizer = normalizer
    finder.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    _train(finder, texts, config.vocab_size)
    known = json.loads(finder.to_str())["model"]["vocab"]
    found = sorted(known, key=known.__getitem__)[len(SPECIAL_TOKENS) :]
    letters = [token for token in found if len(token) == 1 and token != _START]
    pieces = [t[1:] if t.startswith(_START) else f"##{t}" for t in found if t != _START]
    spelt = dict.fromkeys(chain(SPECIAL_TOKENS, letters, (f"##{c}" for c in letters), pieces))
    size = max(config.vocab_size, len(SPECIAL_TOKENS) + 2 * len(letters))
    vocabulary = {token: number for number, token in enumerate(list(spelt)[:size])}

    inner = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizer
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return inner


def _characters(texts: Iterator[str], config: TokenizerConfig) -> tokenizers.Tokenizer:
    seen: set[str] = set()
    for text in texts:
        seen.update(text.lower() if config.lowercase else text)
    vocabulary = {token: i for i, token in enumerate([*SPECIAL_TOKENS, *sorted(seen)])}
    inner = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    if config.lowercase:
        inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    return inner
