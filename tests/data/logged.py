"""A short fit that logs the number of each sample it sees.

Run as a script: `logged.py FOLDER ORDER RANKS WORKERS STEPS`. It reads FOLDER/text.jsonl, goes on from FOLDER/last.ckpt
where that is, and each rank appends to FOLDER/ids-RANK.jsonl.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from lightformer import BackboneConfig, examples
from lightformer.data import TextFiles
from lightformer.tasks import CausalLM
from lightformer.tokenizer import TokenizerConfig

ORDERS: dict[str, dict[str, Any]] = {
    "fixed": {"examples": examples.packed(seq_len=64), "batch_size": 12},
    "budget": {"examples": examples.documents(seq_len=64), "batch_tokens": 1500},
}


class _Log(Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(
        self, trainer: Trainer, _: LightningModule, __: Any, batch: dict[str, Any], ___: int
    ) -> None:
        with (self.folder / f"ids-{trainer.global_rank}.jsonl").open("a") as file:
            file.write(json.dumps([trainer.global_step, batch["sample_ids"].tolist()]) + "\n")


def fit(folder: Path, order: str, ranks: int, workers: int, steps: int) -> None:
    """Trains up to a step."""
    seed_everything(7, verbose=False)
    data = TextFiles(
        train=str(folder / "text.jsonl"),
        tokenizer=TokenizerConfig("wordpiece", 300),
        num_workers=workers,
        cache_dir=str(folder / "cache"),
        seed=7,
        **ORDERS[order],
    )
    sizes = {"hidden_size": 12, "num_layers": 1, "num_heads": 2, "max_seq_len": 64}
    task = CausalLM(vocabulary=data.vocabulary, backbone=BackboneConfig(**sizes))
    last = ModelCheckpoint(
        folder, "last", every_n_train_steps=steps, monitor=None, enable_version_counter=False
    )
    trainer = Trainer(
        max_steps=steps,
        accelerator="cpu",
        devices=ranks,
        strategy="ddp" if ranks > 1 else "auto",
        use_distributed_sampler=False,
        callbacks=[_Log(folder), last],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    start = folder / "last.ckpt"
    trainer.fit(task, data, ckpt_path=str(start) if start.is_file() else None)


if __name__ == "__main__":
    fit(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
