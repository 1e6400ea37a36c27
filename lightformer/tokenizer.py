"""The tokenizer: text to numbers and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

import tokenizers

from lightformer.errors import ConfigError, DataError
from lightformer.special_tokens import around, named_in, vocabulary, write_map

TOKENIZER = "tokenizer.json"

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

_SPACE = "▁"  # how many tokenizers spell a space

_LETTER = "a"  # which no tokenizer joins with a line break


@dataclass(frozen=True)
class TokenizerConfig:
    """How text becomes tokens.

    Args:
        kind: bpe (word pieces that remember their spaces), wordpiece (BERT's), byte_level (GPT-2's,
            which knows every text) or characters
        vocab_size: number of tokens, at most; characters takes as many as there are
        lowercase: whether upper and lower case are the same
        file: a tokenizer.json to use, instead of one trained on the text
        train_characters: how much text it is trained on, at most; of more, some is drawn from all over it
    """

    kind: Literal["bpe", "wordpiece", "byte_level", "characters"] = "bpe"
    vocab_size: int = 8192
    lowercase: bool = False
    file: str | None = None
    train_characters: int = 100_000_000

    def __post_init__(self) -> None:
        if self.kind not in ("bpe", "wordpiece", "byte_level", "characters"):
            raise ConfigError(
                "tokenizer.kind must be bpe, wordpiece, byte_level or characters, "
                f"not {self.kind!r}."
            )
        if self.train_characters < 1:
            raise ConfigError(
                f"tokenizer.train_characters must be at least 1, not {self.train_characters}."
            )
        least = 512 if self.kind == "byte_level" else len(SPECIAL_TOKENS) + 1
        if self.kind != "characters" and self.vocab_size < least:
            raise ConfigError(
                f"tokenizer.vocab_size must be at least {least} for {self.kind}, "
                f"not {self.vocab_size}."
            )


class Tokenizer:
    """A thin coat over `tokenizers`, which knows the special tokens.

    Args:
        inner: the tokenizer itself
        named: its special tokens, by their field of a vocabulary, where something says which they are
    """

    def __init__(
        self, inner: tokenizers.Tokenizer, named: Mapping[str, list[int | str]] | None = None
    ) -> None:
        self._inner = inner
        inner.no_padding()
        inner.no_truncation()

        # Some tokenizers put a space in front of a text. There a piece goes without its own, and one that begins with
        # a line break is read behind a letter, so that the space is put before that.
        def ids(text: str) -> list[int]:
            return inner.encode(text, add_special_tokens=False).ids

        self._letter = ids(_LETTER)
        self._strips = ids(f"{_LETTER} b") != self._letter + ids(" b")
        self._breaks = ids(f"{_LETTER}\nb") != self._letter + ids("\nb")
        known = inner.get_vocab()
        found = vocabulary(inner, named or {}, max(known.values()) + 1)
        self.vocabulary = replace(found, word_starts=_word_starts(inner, known))

    @classmethod
    def from_json(cls, text: str, named: Mapping[str, list[int | str]] | None = None) -> Tokenizer:
        """Returns the tokenizer that `to_json` wrote.

        Args:
            text: what it wrote
            named: its special tokens, by their field of a vocabulary, where something says which they are
        """
        return cls(tokenizers.Tokenizer.from_str(text), named)

    @classmethod
    def from_file(cls, path: str | Path) -> Tokenizer:
        """Returns the tokenizer of a tokenizer.json; files of transformers beside it say which tokens are special.

        Raises:
            DataError: there is no such file, or it holds no tokenizer, or a file beside it is broken.
        """
        named = named_in(Path(path).parent)
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"), named)
        except OSError as error:
            raise DataError(
                f"tokenizer.file {path} cannot be read ({error.strerror}); give a tokenizer.json."
            ) from error
        except Exception as error:  # what `tokenizers` raises is a plain Exception
            reason = " ".join(str(error).split())
            raise DataError(
                f"tokenizer.file {path} is no tokenizer.json of the tokenizers library ({reason})."
            ) from error

    def to_json(self) -> str:
        """Returns the whole tokenizer as text, the content of a tokenizer.json."""
        return self._inner.to_str(pretty=True)

    def save(self, folder: Path) -> None:
        """Writes a tokenizer.json, from which `from_file` makes the same tokenizer."""
        (folder / TOKENIZER).write_text(self.to_json(), encoding="utf-8")
        write_map(self._inner, self.vocabulary, folder)

    @property
    def around(self) -> tuple[list[int], ...]:
        """The ids that its own template puts before a text, and those after it."""
        return around(self._inner)

    @property
    def fingerprint(self) -> str:
        """A short name for what this tokenizer does: equal text, equal name."""
        return hashlib.sha256(self._inner.to_str().encode()).hexdigest()[:16]

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text; no special tokens are added, those in the text are seen."""
        return self._inner.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text, as `encode` does, on all cores."""
        found = self._inner.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def encode_pieces(self, pieces: Sequence[str]) -> list[list[int]]:
        """Returns the ids of pieces of a text, cut before white space, as if it were whole."""
        if self._strips:
            pieces = [piece.removeprefix(" ") for piece in pieces]
        found = self.encode_batch(pieces)
        if self._breaks:
            places = [i for i, p in enumerate(pieces) if p[:1].isspace() and p[0] != " "]
            behind = self.encode_batch([_LETTER + pieces[place] for place in places])
            for place, ids in zip(places, behind, strict=True):
                if ids[: len(self._letter)] == self._letter:  # else a token goes on over the border
                    found[place] = ids[len(self._letter) :]
        return found

    def encode_words(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        """Returns the ids that `encode_pieces` gives, all in a row, and the number of the word of each.

        For many short pieces that is faster, since each encoding has its price.
        """
        if self._strips or self._breaks:
            found = self.encode_pieces(words)
            return [*chain(*found)], [owner for owner, ids in enumerate(found) for _ in ids]
        together = self._inner.encode(words, is_pretokenized=True, add_special_tokens=False)
        return together.ids, together.word_ids  # type: ignore[return-value]  # each is of a word

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Returns the text of ids, readable.

        Args:
            ids: numbers of tokens
            skip_special_tokens: whether [CLS] and its like are left out
        """
        return self._inner.decode([int(i) for i in ids], skip_special_tokens=skip_special_tokens)

    def token(self, number: int) -> str:
        """Returns one token as it is spelt in the vocabulary."""
        return self._inner.id_to_token(number) or f"<{number}>"

    def __len__(self) -> int:
        return self.vocabulary.size


def _word_starts(inner: tokenizers.Tokenizer, known: dict[str, int]) -> tuple[bool, ...]:
    """Of each id whether it begins a word: it goes not on with ##, or begins with white space; empty if none tells."""
    prefix = getattr(inner.model, "continuing_subword_prefix", None)
    if prefix:
        begin = {number for token, number in known.items() if not token.startswith(prefix)}
        tells = len(begin) < len(known)
    else:
        parts = (part.__getstate__() for part in (inner.pre_tokenizer, inner.decoder) if part)
        spaces = "ĠĊĉč" if any(b'"ByteLevel"' in part for part in parts) else _SPACE
        begin = {n for token, n in known.items() if token[:1] in spaces or token[:1].isspace()}
        tells = bool(begin)
    return tuple(number in begin for number in range(max(known.values()) + 1)) if tells else ()
