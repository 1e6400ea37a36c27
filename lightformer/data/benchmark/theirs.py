"""The way of `datasets` and `transformers`, as the language modelling example of the latter goes (run_mlm.py)."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

_SPECIAL = {
    "unk_token": "[UNK]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def lacking() -> str | None:
    """Returns what is not installed, and how to install it; None where all is there."""
    missing = [name for name in ("datasets", "transformers") if not importlib.util.find_spec(name)]
    if not missing:
        return None
    return f"not installed, so not compared: {', '.join(missing)}; pip install 'lightformer[datasets,hf]'"


class Theirs:
    """A corpus in their hands.

    Args:
        corpus: a .jsonl file
        tokenizer: a tokenizer.json
        folder: for their caches
        seq_len: tokens of a sample
    """

    def __init__(self, corpus: Path, tokenizer: Path, folder: Path, seq_len: int) -> None:
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder)}
        self._datasets: Any = importlib.import_module("datasets")
        self._datasets.disable_progress_bars()
        transformers: Any = importlib.import_module("transformers")
        self.tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(tokenizer), model_max_length=1 << 30, **_SPECIAL
        )
        self._collator = transformers.DataCollatorForLanguageModeling(
            self.tokenizer, mlm_probability=0.15
        )
        self._corpus, self._folder, self._seq_len = corpus, folder, seq_len

    def prepare(self, run: int, processes: int | None = None) -> Any:
        """Returns the text as samples of tokens, made anew.

        Args:
            run: another one each time, so that nothing is taken from a cache
            processes: for `map`; its default, where not given
        """
        cache = str(self._folder / f"{run}-{processes}")
        text = self._datasets.load_dataset(
            "json", data_files=str(self._corpus), split="train", cache_dir=cache
        )
        options = {"batched": True, "load_from_cache_file": False, "num_proc": processes}
        tokens = text.map(self._tokenize, remove_columns=["text"], **options)
        return tokens.map(self._group, **options)

    def batches(self, samples: Any, size: int, *, masked: bool) -> Iterable[Any]:
        """Returns batches in random order: by the default collate, or by the collator that masks."""
        if not masked:
            return DataLoader(samples.with_format("torch"), batch_size=size, shuffle=True)
        return DataLoader(samples, batch_size=size, shuffle=True, collate_fn=self._collator)

    def _tokenize(self, rows: dict[str, Any]) -> Any:
        return self.tokenizer(rows["text"], return_special_tokens_mask=True)

    def _group(self, rows: dict[str, Any]) -> dict[str, Any]:
        joined = {key: list(chain(*values)) for key, values in rows.items()}
        total = len(next(iter(joined.values()))) // self._seq_len * self._seq_len
        return {
            key: [values[i : i + self._seq_len] for i in range(0, total, self._seq_len)]
            for key, values in joined.items()
        }
