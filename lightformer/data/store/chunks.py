"""Where a text may be cut so that its parts give the tokens that the whole gives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

AT_WHITE_SPACE = re.compile(r"\s*+\S++(?:[^\S \t\n\r]\s*+\S*+)*+|\s++")
"""A word with all the white space before it; what not every tokenizer takes for white space is left in a word."""

AT_SPACES = re.compile(r"\s*+\S++(?:[^\S ]\s*+\S*+)*+|\s++")
"""The same, but other white space than spaces is left in a word."""

_LOCAL = ("NFC", "NFD", "Lowercase")
"""Normalizers that change a word without a look at the next one, and neither make nor join white space."""

_TAKING = ("BertNormalizer", "StripAccents")
"""Normalizers that may take away all that stands between two spaces, or put spaces."""

_DROPPING = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")
"""Pre-tokenizers for which it is all the same how much white space there is."""

WORDS = (
    r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"[\s\S]",
)
"""Patterns of which no match goes from what is no white space on to white space."""

LINES = tuple(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
    + digits
    + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    for digits in (r"\p{N}{1,3}", r"\p{N}")
)
"""Patterns of which a match may go on to the end of a line, but not to a space (Llama 3's and Qwen's)."""


def chunk_pattern(tokenizer: Mapping[str, Any]) -> re.Pattern[str] | None:
    """Returns what finds the chunks of a text that can be encoded one by one, or None where only the whole can.

    Args:
        tokenizer: the content of a tokenizer.json
    """
    added = tokenizer["added_tokens"]
    if any(token["rstrip"] or re.search(r"\s", token["content"]) for token in added):
        return None  # it takes white space of the next chunk
    if tokenizer["model"].get("dropout"):
        return None  # a word gives other tokens each time
    steps = list(_steps(tokenizer["pre_tokenizer"]))
    if not steps or any(step.get("prepend_scheme") == "first" for step in steps[1:]):
        return None  # it tells the start of a text from that of a word
    local = _LOCAL + _TAKING if steps[0]["type"] in _DROPPING else _LOCAL
    if any(step["type"] not in local for step in _steps(tokenizer["normalizer"])):
        return None
    return _of(steps[0])


def _of(step: Mapping[str, Any]) -> re.Pattern[str] | None:
    """What the first step of a pre-tokenizer allows; the others see what it has cut."""
    match step["type"]:
        case kind if kind in _DROPPING:
            return AT_WHITE_SPACE
        case "ByteLevel" if step["use_regex"]:
            return AT_SPACES if step["add_prefix_space"] else AT_WHITE_SPACE
        case "Metaspace" if step["split"]:
            return AT_SPACES
        case "Split" if step["behavior"] == "Isolated" and not step["invert"]:
            pattern = step["pattern"].get("Regex")
            if pattern in WORDS:
                return AT_WHITE_SPACE
            return AT_SPACES if pattern in LINES else None
    return None


def _steps(part: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """What a part does, one after the other."""
    if part is None:
        return
    if part["type"] != "Sequence":
        yield part
        return
    for step in part.get("normalizers") or part.get("pretokenizers") or ():
        yield from _steps(step)
