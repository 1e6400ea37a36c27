"""The whole measurement: preparing, batches, packing, memory."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import tokenizers

from lightformer import examples, masking
from lightformer.data.benchmark.corpus import write_corpus
from lightformer.data.benchmark.memory import peak_megabytes
from lightformer.data.benchmark.table import Table, Way, medians
from lightformer.data.benchmark.theirs import Theirs, lacking
from lightformer.data.text_files import TextFiles
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.tokenizer import TokenizerConfig

SEQ_LEN = 128
BATCH = 256

_TRAINING = 4000
"""Documents that the tokenizer is trained on."""

_SECONDS = 0.5
"""For which batches are made."""


@dataclass(frozen=True)
class Bench:
    """What is measured, and on how much.

    Args:
        folder: an empty one for all that is written
        tokenizer: which the others use too
        megabytes: size of the text
        repeats: how often each is measured; the one in the middle counts
    """

    folder: Path
    tokenizer: TokenizerConfig
    megabytes: float = 20.0
    repeats: int = 3

    def tables(self) -> Iterator[Table]:
        """Measures, and gives each table as soon as it is there."""
        write_corpus(self._corpus, self.megabytes)
        trained = train_tokenizer(islice(self._texts(), _TRAINING), self.tokenizer)
        self._trained.write_text(trained.to_json(), encoding="utf-8")
        theirs = None
        if lacking() is None:
            theirs = Theirs(self._corpus, self._trained, self.folder / "theirs", SEQ_LEN)
        yield self._preparing(theirs)
        yield self._batches(theirs)
        yield self._packing()

    def memory(self, sizes: Iterable[int]) -> Table:
        """Measures how much memory it takes to prepare texts of some sizes in megabytes, after `tables`."""
        figures = {}
        for size in sizes:
            corpus = self.folder / f"{size}.jsonl"
            write_corpus(corpus, size)
            cache = self.folder / f"memory-{size}"
            figures[f"{size:,} MB of text"] = peak_megabytes(corpus, self._trained, cache)
            corpus.unlink()
        return Table("memory that preparing takes, of all its processes", "MB at most", figures)

    @property
    def _corpus(self) -> Path:
        return self.folder / "corpus.jsonl"

    @property
    def _trained(self) -> Path:
        return self.folder / "tokenizer.json"

    def _texts(self) -> Iterator[str]:
        with self._corpus.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)["text"]

    def _data(self, cache: str = "ours-0", **options: Any) -> TextFiles:
        return TextFiles(
            train=str(self._corpus),
            validation_share=0.001,
            tokenizer=TokenizerConfig(file=str(self._trained)),
            cache_dir=str(self.folder / cache),
            seed=0,
            **options,
        )

    def _preparing(self, theirs: Theirs | None) -> Table:
        inner = tokenizers.Tokenizer.from_file(str(self._trained))
        texts, size = list(self._texts()), self._corpus.stat().st_size / 1e6
        works: dict[str, Callable[[int], object]] = {
            "lightformer: file to token store": lambda i: self._data(f"ours-{i}").prepare_data(),
            "tokenizers: encode_batch alone": lambda _: _encode(inner.encode_batch, texts),
            "tokenizers: encode_batch_fast alone": lambda _: _encode(
                inner.encode_batch_fast, texts
            ),
        }
        cores = os.cpu_count() or 1
        if theirs is not None:
            for processes, how in ((None, ""), (cores, f", num_proc={cores}")):
                name = f"datasets: map as in run_mlm.py{how}"
                works[name] = partial(theirs.prepare, processes=processes)

        def megabytes_a_second(work: Callable[[int], object], repeat: int) -> float:
            begin = time.perf_counter()
            work(repeat)
            return size / (time.perf_counter() - begin)

        ways = {name: partial(megabytes_a_second, work) for name, work in works.items()}
        ours, *others = ways
        return Table(
            f"preparing {size:.1f} MB of text on {cores} cores with the same {self.tokenizer.kind} tokenizer",
            "MB a second",
            medians(ways, self.repeats),
            digits=2,
            against=dict.fromkeys(others, ours),
            note=lacking(),
        )

    def _batches(self, theirs: Theirs | None) -> Table:
        options = {"examples": examples.windows(seq_len=SEQ_LEN), "batch_size": BATCH}
        plain = "lightformer: windows over the store"
        loaders: dict[str, Iterable[Any]] = {plain: self._data(**options).train_dataloader()}
        against = {}
        for part in (masking.token(), masking.whole_word(), masking.span()):
            data = self._data(**options, masking=part)
            loaders[f"lightformer: the same, masking: {part.name}"] = data.train_dataloader()
        if theirs is not None:
            samples, (_, masked, *_others) = theirs.prepare(self.repeats), loaders
            for name, is_masked, ours in (
                ("datasets: default collate", False, plain),
                ("datasets: DataCollatorForLanguageModeling", True, masked),
            ):
                loaders[name] = theirs.batches(samples, BATCH, masked=is_masked)
                against[name] = ours
        ways: dict[str, Way] = {
            name: partial(_samples_a_second, loader) for name, loader in loaders.items()
        }
        return Table(
            f"batches of {BATCH} samples of {SEQ_LEN} tokens, in one process",
            "a second",
            medians(ways, self.repeats),
            against=against,
            note=lacking(),
        )

    def _packing(self) -> Table:
        figures = {}
        for name, part, by_length in (
            ("windows, which run on over borders of documents", examples.windows, False),
            ("packed documents, kept apart", examples.packed, False),
            ("documents, one a row", examples.documents, False),
            ("documents, one a row, grouped by length", examples.documents, True),
        ):
            data = self._data(
                examples=part(seq_len=SEQ_LEN), batch_size=32, group_by_length=by_length
            )
            tokens = positions = 0
            for batch in data.train_dataloader():
                ids = batch["input_ids"]
                tokens += int(batch.get("attention_mask", ids >= 0).sum())
                positions += ids.numel()
            figures[name] = 100 * tokens / positions
        return Table(f"positions in rows of {SEQ_LEN} that are no padding", "percent", figures, 1)


def _encode(encode: Callable[..., object], texts: list[str]) -> None:
    for start in range(0, len(texts), 1000):  # as many at a time as datasets.map hands over
        encode(texts[start : start + 1000], add_special_tokens=False)


def _samples_a_second(loader: Iterable[Any], _repeat: int) -> float:
    begin, count = time.perf_counter(), 0
    while True:
        for batch in loader:
            count += len(batch["input_ids"])
            if (passed := time.perf_counter() - begin) > _SECONDS:
                return count / passed
