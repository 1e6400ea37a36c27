"""Which tokens are special: what the files beside a tokenizer say, what it puts around a text, how they are spelt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from lightformer.errors import DataError

SPELLINGS = {
    "pad_id": ["[PAD]", "<pad>", "<|pad|>", "<PAD>"],
    "unk_id": ["[UNK]", "<unk>", "<|unk|>", "<UNK>"],
    "cls_id": ["[CLS]", "<s>", "<cls>", "[BOS]", "<bos>", "<|begin_of_text|>", "<|startoftext|>"],
    "sep_id": ["[SEP]", "</s>", "<sep>", "[EOS]", "<eos>"],
    "mask_id": ["[MASK]", "<mask>", "<|mask|>", "<MASK>"],
    "eos_id": ["</s>", "[EOS]", "<eos>", "<|endoftext|>", "<|end_of_text|>", "[SEP]"],
}

GENERATION, MODEL, MAP = "generation_config.json", "config.json", "special_tokens_map.json"

BEGIN = "bos_id"
"""What a causal model begins with, which no vocabulary has, as nothing is framed with it."""

_KEYS = {name: f"{name.removesuffix('_id')}_token" for name in (*SPELLINGS, BEGIN)}
_OTHER_USE = {"cls_id": BEGIN, "sep_id": "eos_id"}
_FILES: dict[str, tuple[str, ...]] = {
    GENERATION: ("eos_id",),  # what else is there is for generation alone
    MODEL: tuple(_KEYS),
    MAP: tuple(_KEYS),
    "tokenizer_config.json": tuple(_KEYS),
}
"""The files of a folder of transformers that name special tokens, first what counts most, with what each is asked."""


def named_in(folder: Path) -> dict[str, list[int | str]]:
    """Returns the special tokens that the files of a folder name, by their ids or as they are spelt.

    Where a tokenizer's own file says that there is none, the list is empty.

    Raises:
        DataError: a file is broken.
    """
    found: dict[str, list[int | str]] = {}
    for file, roles in _FILES.items():
        values = _read(folder / file)
        for role in roles:
            key = _KEYS[role]
            tokens = _tokens(values.get(f"{key}_id", values.get(key)))
            if role not in found and (tokens or values.get(key, "") is None):
                found[role] = tokens
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is broken JSON: {error}; mend it, or take it away.") from error
    return found if isinstance(found, dict) else {}


def _tokens(value: Any) -> list[int | str]:
    """One token or several; old files have a mapping with its content."""
    if isinstance(value, list):
        return [token for item in value for token in _tokens(item)]
    if isinstance(value, dict):
        value = value.get("content")
    return [value] if isinstance(value, (int, str)) and not isinstance(value, bool) else []


def around(inner: tokenizers.Tokenizer) -> tuple[list[int], list[int]]:
    """Returns what a tokenizer's own template puts before and after a text."""
    plain, whole = (
        inner.encode("a", add_special_tokens=with_them).ids for with_them in (False, True)
    )
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start], whole[start + len(plain) :]
    return [], []


def special_ids(
    inner: tokenizers.Tokenizer, named: Mapping[str, list[int | str]]
) -> dict[str, int | None]:
    """Returns the id of each special token, by its field of a vocabulary.

    What frames a row is what the tokenizer's own template puts there. The rest is as it is named, and where it is not,
    a token that is commonly spelt so.
    """
    known = inner.get_vocab()
    last = max(known.values())
    before, after = around(inner)
    found: dict[str, int | None] = {}
    for role, spellings in SPELLINGS.items():
        other = named.get(_OTHER_USE.get(role, ""), ())
        guessed = [
            token for token in spellings if token not in other and known.get(token) not in other
        ]
        tokens = [*named[role], *guessed] if named.get(role) else [] if role in named else guessed
        ids = (known.get(token) if isinstance(token, str) else token for token in tokens)
        found[role] = next((i for i in ids if i is not None and 0 <= i <= last), None)
    if before or after:
        found["cls_id"] = before[0] if before else None
        found["sep_id"] = after[-1] if after else None
    return found


def write_map(inner: tokenizers.Tokenizer, ids: Mapping[str, int | None], folder: Path) -> None:
    """Writes, beside a tokenizer.json, the special tokens that could not be told from it alone."""
    told = special_ids(inner, {})
    told["pad_id"] = told["pad_id"] or 0
    differ = {_KEYS[role]: number for role, number in ids.items() if number != told[role]}
    if differ:
        named = {k: None if i is None else inner.id_to_token(i) for k, i in differ.items()}
        (folder / MAP).write_text(json.dumps(named, indent=2, ensure_ascii=False) + "\n")
