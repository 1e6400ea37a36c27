"""Which tokens are special: what the files beside a tokenizer say, what it puts around a text, how they are spelt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tokenizers

from lightformer.errors import CheckpointError, ConfigError
from lightformer.vocabulary import Vocabulary

SPELLINGS = {
    "pad_id": ["[PAD]", "<pad>", "<|pad|>", "<PAD>"],
    "unk_id": ["[UNK]", "<unk>", "<|unk|>", "<UNK>"],
    "cls_id": ["[CLS]", "<s>", "<cls>", "[BOS]", "<bos>", "<|begin_of_text|>", "<|startoftext|>"],
    "sep_id": ["[SEP]", "</s>", "<sep>", "[EOS]", "<eos>"],
    "mask_id": ["[MASK]", "<mask>", "<|mask|>", "<MASK>"],
    "eos_id": ["</s>", "[EOS]", "<eos>", "<|endoftext|>", "<|end_of_text|>", "[SEP]"],
}

GENERATION, MODEL, MAP = "generation_config.json", "config.json", "special_tokens_map.json"
TOKENIZER_CONFIG = "tokenizer_config.json"

BEGIN = "bos_id"
"""What a causal model begins with, which no vocabulary has, as nothing is framed with it."""

_KEYS = {name: f"{name.removesuffix('_id')}_token" for name in (*SPELLINGS, BEGIN)}
_OTHER_USE = {"cls_id": BEGIN, "sep_id": "eos_id"}
_FILES: dict[str, tuple[str, ...]] = {
    GENERATION: ("eos_id",),  # what else is there is for generation alone
    MODEL: tuple(_KEYS),
    MAP: tuple(_KEYS),
    TOKENIZER_CONFIG: tuple(_KEYS),
}
"""The files of a folder of transformers that name special tokens, first what counts most, with what each is asked."""


def named_in(folder: Path) -> dict[str, list[int | str]]:
    """Returns the special tokens that the files of a folder name, by their ids or as they are spelt.

    Where a tokenizer's own file says that there is none, the list is empty.

    Raises:
        CheckpointError: a file is broken.
    """
    found: dict[str, list[int | str]] = {}
    for file, roles in _FILES.items():
        values = read_json(folder / file) if (folder / file).is_file() else {}
        for role in roles:
            key = _KEYS[role]
            tokens = _tokens(values.get(f"{key}_id", values.get(key)))
            if role not in found and (tokens or values.get(key, "") is None):
                found[role] = tokens
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a file.

    Raises:
        CheckpointError: it cannot be read, or is something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is broken JSON: {error}.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} must be a JSON object, but is {type(found).__name__}.")
    return found


def _tokens(value: Any) -> list[int | str]:
    """One token or several; old files have a mapping with its content."""
    if isinstance(value, list):
        return [token for item in value for token in _tokens(item)]
    if isinstance(value, dict):
        value = value.get("content")
    return [value] if isinstance(value, (int, str)) and not isinstance(value, bool) else []


def around(inner: tokenizers.Tokenizer, texts: int = 1) -> tuple[list[int], ...]:
    """Returns what a tokenizer's own template puts before a text, and after it.

    Args:
        inner: the tokenizer
        texts: 2 for a pair, of which it is what stands before, between and after

    Raises:
        ConfigError: the second text comes first.
    """
    known = inner.get_vocab()
    for text in sorted(known, key=known.__getitem__):  # the first that is not lost
        whole = inner.encode(text, text if texts == 2 else None)
        owners = whole.sequence_ids
        if 0 in owners:
            starts = [owners.index(number) for number in range(texts)]
            if starts != sorted(starts):
                raise ConfigError(
                    "The template of a tokenizer must put the first text of a pair first, but this one the second; "
                    "change its post_processor."
                )
            ends = [len(owners) - owners[::-1].index(number) for number in range(texts)]
            borders = zip([0, *ends], [*starts, len(owners)], strict=True)
            return tuple(whole.ids[end:start] for end, start in borders)
    return ([],) * (texts + 1)


def vocabulary(
    inner: tokenizers.Tokenizer | None, named: Mapping[str, list[int | str]], size: int
) -> Vocabulary:
    """Returns the special tokens of a model.

    What frames a row is what the tokenizer's own template puts there. The rest is as it is named, and where it is not,
    a token that is commonly spelt so.

    Args:
        inner: its tokenizer, where there is one
        named: special tokens, by their field of a vocabulary, where something says which they are
        size: number of token ids
    """
    known = {} if inner is None else inner.get_vocab()
    before, after = ([], []) if inner is None else around(inner)
    found: dict[str, int | None] = {}
    for role, spellings in SPELLINGS.items():
        other = named.get(_OTHER_USE.get(role, ""), ())
        guessed = [
            token for token in spellings if token not in other and known.get(token) not in other
        ]
        tokens = [*named[role], *guessed] if named.get(role) else [] if role in named else guessed
        ids = (known.get(token) if isinstance(token, str) else token for token in tokens)
        found[role] = next((i for i in ids if i is not None and 0 <= i < size), None)
    if before or after:
        found["cls_id"] = before[0] if before else None
        found["sep_id"] = after[-1] if after else None
    pad_id = found.pop("pad_id")
    made = Vocabulary(size, pad_id or 0, pads=pad_id is not None, **found)  # type: ignore[arg-type]
    if inner is None or inner.post_processor is None:
        return made
    pair = tuple(map(tuple, around(inner, 2)))
    return made if pair == made.frame(2) else replace(made, pair_ids=pair)


def named_by(known: Vocabulary) -> dict[str, list[int | str]]:
    """Returns the special tokens of a vocabulary as `named_in` does those of a folder."""
    ids = {role: getattr(known, role) for role in SPELLINGS}
    if not known.pads:
        ids["pad_id"] = None
    return {role: [] if number is None else [number] for role, number in ids.items()}


def spelt(
    inner: tokenizers.Tokenizer, named: Mapping[str, list[int | str]]
) -> dict[str, str | None]:
    """Returns the special tokens of `named_by` as files of transformers name them; None where there is none."""
    return {
        _KEYS[role]: inner.id_to_token(int(tokens[0])) if tokens else None
        for role, tokens in named.items()
    }


def write_map(inner: tokenizers.Tokenizer, known: Vocabulary, folder: Path) -> None:
    """Writes, beside a tokenizer.json, the special tokens that could not be told from it alone."""
    told = named_by(vocabulary(inner, {}, known.size))
    differ = {role: tokens for role, tokens in named_by(known).items() if tokens != told[role]}
    if differ:
        text = json.dumps(spelt(inner, differ), indent=2, ensure_ascii=False)
        (folder / MAP).write_text(text + "\n", encoding="utf-8")
