"""`lightformer data show`: what is in the tokens of a config, or in one store."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightformer.cli.help import asks_for_help, print_data_help
from lightformer.cli.preparing import with_data
from lightformer.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from lightformer.data import DataModule, Tokenizer
    from lightformer.data.store.summary import Summary
    from lightformer.examples import Corpus

USAGE = """usage: lightformer data show FOLDER ...
       lightformer data show [--config FILE.yaml ...] [--data.KEY VALUE ...]

Prints what is in folders of tokens, or in those of a config: documents, tokens, lengths, duplicates, unknown tokens and
samples. Every byte is compared with its checksum. What is not prepared yet is prepared.
"""

_BAR = 40
_SAMPLES = 3
_SAMPLE_TOKENS = 60
_SAMPLE_WIDTH = 90


def data(_command: str, arguments: list[str]) -> int:
    """Runs `data show`."""
    if not arguments or arguments[0] in ("--help", "-h"):
        return print_data_help(USAGE, ["--help"])
    if arguments[0] != "show":
        hint = did_you_mean(arguments[0], ["show"], "Commands")
        raise ConfigError(f"There is no command `data {arguments[0]}`.{hint}")
    rest = arguments[1:]
    if asks_for_help(rest):
        return print_data_help(USAGE, rest)
    if rest and not any(word.startswith("-") for word in rest):
        for number, folder in enumerate(rest):
            _show(Path(folder), number)
    else:
        with_data("data show", rest, _show_all)
    return 0


def _show_all(module: DataModule) -> None:
    module.prepare_data()
    for number, folder in enumerate(module.stores.values()):
        _show(folder, number)


def _show(folder: Path, number: int) -> None:
    from lightformer.data.store import open_store, read_meta, verify_store
    from lightformer.data.store.layout import TOKENIZER
    from lightformer.data.store.summary import summarize
    from lightformer.tokenizer import Tokenizer

    verify_store(folder)
    meta, corpus = read_meta(folder), open_store(folder)
    tokenizer = Tokenizer.from_file(folder / TOKENIZER)
    summary = summarize(corpus, tokenizer.vocabulary.unk_id)
    if number:
        print()
    print(folder)
    for name, texts in _rows(meta, summary, tokenizer.vocabulary.unk_id is not None).items():
        for text in texts:
            print(f"  {name:11} {text}")
            name = ""
    print("  lengths     documents by their number of tokens")
    for line in _histogram(summary.lengths):
        print(f"    {line}")
    print("  samples")
    for document in _spread(corpus.num_documents):
        print(f"    {_sample(corpus, document, tokenizer)}")


def _rows(meta: dict[str, Any], summary: Summary, has_unknown: bool) -> dict[str, list[str]]:
    documents, tokens, tokenizer = summary.documents, summary.tokens, meta["tokenizer"]
    unknown = _share(summary.unknown, tokens) if has_unknown else "every text is known"
    return {
        "made": [f"{meta['made']} by lightformer {meta['lightformer']}"],
        "sources": [f"{name} ({digest})" for name, digest in meta["sources"].items()],
        "skipped": [f"{meta['skipped']['rows']:,} rows", *meta["skipped"]["first"]],
        "tokenizer": [
            f"{tokenizer['kind']}, {tokenizer['size']:,} tokens, {tokenizer['fingerprint']}"
        ],
        "documents": [f"{documents:,}, the longest of {summary.longest:,} tokens"],
        "duplicates": [f"{_share(summary.duplicates, documents)} as one before, token for token"],
        "sentences": [f"{summary.sentences:,}"],
        "tokens": [f"{tokens:,} of {int(meta['dtype'][-1])} bytes each"],
        "unknown": [unknown],
        "checksums": ["all files are as they were written"],
    }


def _share(count: int, whole: int) -> str:
    return f"{count:,} ({count / max(whole, 1):.2%})"


def _histogram(lengths: tuple[int, ...]) -> Iterator[str]:
    """A bar for each power of two from the shortest document to the longest."""
    first = next(number for number, count in enumerate(lengths) if count)
    for number, count in enumerate(lengths[first:], start=first):
        least, most = 2**number // 2 + 1 if number else 0, 2**number
        bar = "#" * math.ceil(_BAR * count / max(lengths))
        yield f"{least:>9,} - {most:<9,} {count:>11,}  {bar}".rstrip()


def _spread(count: int) -> list[int]:
    """Some documents, from the first to the last."""
    return sorted({number * (count - 1) // (_SAMPLES - 1) for number in range(_SAMPLES)})


def _sample(corpus: Corpus, document: int, tokenizer: Tokenizer) -> str:
    """The beginning of a document, in one line."""
    begin, end = corpus.sentences[corpus.documents[document : document + 2]].tolist()
    text = tokenizer.decode(corpus.tokens[begin : min(end, begin + _SAMPLE_TOKENS)])
    label = "" if corpus.labels is None else f", class {corpus.labels[document]}"
    words = textwrap.shorten(text, _SAMPLE_WIDTH, placeholder=" ...")
    return f"document {document + 1:,}{label}: {words}"
