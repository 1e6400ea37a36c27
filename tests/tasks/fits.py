"""Short fits of a small classifier with Lightning's own trainer.

Run as a script, it is one of several ranks: `fits.py FILE`, where rank 0 writes its weights to.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from lightformer import BackboneConfig, attention, optimizer, position, schedule
from lightformer.tasks import SequenceClassification
from lightformer.vocabulary import Vocabulary

VOCABULARY = Vocabulary(size=19, labels=("a", "b", "c"))
SIZES = {"hidden_size": 14, "num_heads": 2, "head_dim": 6, "num_layers": 3, "max_seq_len": 11}
State = dict[str, Tensor]


def task(**options: Any) -> SequenceClassification:
    """A classifier with dropout, whose weights decay; the same each time."""
    torch.manual_seed(7)
    given = {
        "vocabulary": VOCABULARY,
        "backbone": backbone(),
        "optimizer": optimizer.adamw(lr=0.01, weight_decay=0.3),
        "schedule": schedule.linear(warmup_steps=1),
        "pooler": True,
    }
    return SequenceClassification(**{**given, **options})


def backbone(**changed: Any) -> BackboneConfig:
    parts = {"attention": attention.mha(), "position": position.learned(), "dropout": 0.2}
    return BackboneConfig(**{**SIZES, **parts, **changed})


class Save(Callback):
    """Writes a checkpoint after step 2, and the run goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 2:
            trainer.save_checkpoint(self.path)


def fit(
    model: SequenceClassification,
    steps: int = 3,
    *,
    save: Path | None = None,
    start: Path | None = None,
    **options: Any,
) -> SequenceClassification:
    """Makes some of 5 steps; `save` is for a checkpoint after step 2, and `start` is one to go on from."""
    draw = torch.Generator().manual_seed(2)
    ids, labels = torch.randint(19, (5, 7), generator=draw), torch.tensor([0, 1, 2, 1, 0])
    batches: Any = [{"input_ids": ids, "labels": labels}] * 5
    trainer = Trainer(
        max_steps=steps,
        callbacks=[*options.pop("callbacks", []), *([Save(save)] if save else [])],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, DataLoader(batches, batch_size=None), ckpt_path=start)
    return model


def state(model: torch.nn.Module) -> State:
    return {name: value.clone() for name, value in model.state_dict().items()}


def moved(after: State, before: State) -> set[str]:
    """Names of what has not the same bits as before."""
    return {name for name, value in after.items() if not value.equal(before[name])}


PARTS: list[dict[str, Any]] = [
    {"freeze": ["backbone.*"]},
    {"freeze": ["*.norm.*", "backbone.blocks.0.*", "classifier.bias"]},
    {"adapter": {"name": "lora", "rank": 2, "targets": ["*.query", "*.feedforward.*"]}},
]
"""Options of which each lets another part of a model learn."""


def main(path: str) -> None:
    """As one of two ranks."""
    torch.set_num_threads(1)
    found = []
    for options in PARTS:
        model = task(**options)
        before = state(model)
        found.append((moved(state(fit(model, devices=2, strategy="ddp")), before), before.keys()))
    if torch.distributed.get_rank() == 0:
        torch.save([(sorted(names), sorted(keys)) for names, keys in found], Path(path))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
