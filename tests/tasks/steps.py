"""One optimizer step over 32 rows, cut in any way, with Lightning's own trainer.

Run as a script, it is one of several ranks: `steps.py FILE`, where rank 0 writes its gradients to.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from lightformer import BackboneConfig
from lightformer.data.loader import Samples, StepLoader
from lightformer.tasks import BertPretraining, MaskedLM, Task
from lightformer.vocabulary import Vocabulary

ROWS, SEQ, VOCAB = 32, 7, 19
TASKS: dict[str, type[Task]] = {"masked_lm": MaskedLM, "bert": BertPretraining}
DTYPES = {"float64": torch.float64, "float32": torch.float32}
Gradients = dict[str, Tensor]


def rows() -> dict[str, Tensor]:
    """Rows with 0 to 5 masks, most of them early, and with more or less padding."""
    draw = torch.Generator().manual_seed(3)
    ids = torch.randint(1, VOCAB, (ROWS, SEQ), generator=draw)
    share = torch.linspace(0.7, 0.0, ROWS)[:, None]
    is_token = torch.arange(SEQ) < torch.randint(3, SEQ + 1, (ROWS, 1), generator=draw)
    hidden = (torch.rand(ROWS, SEQ, generator=draw) < share) & is_token
    follows = torch.randint(0, 2, (ROWS,), generator=draw)
    follows[::5] = -100
    return {
        "input_ids": ids.masked_fill(hidden, 1),
        "labels": ids.masked_fill(~hidden, -100),
        "attention_mask": is_token,
        "token_type_ids": torch.randint(0, 2, (ROWS, SEQ), generator=draw),
        "next_sentence_labels": follows,
    }


class Rows:
    """The rows as examples, for the loader of the package."""

    def __init__(self, times: int = 1) -> None:
        self.rows = {
            key: value.repeat(times, *[1] * (value.ndim - 1)) for key, value in rows().items()
        }

    def __len__(self) -> int:
        return len(self.rows["input_ids"])

    def batch(self, indices: Any, epoch: int) -> dict[str, Tensor]:
        return {key: value[torch.as_tensor(indices)] for key, value in self.rows.items()}


class InOrder:
    """The rows in order, cut into micro-batches for one rank, with the counts of the step."""

    def __init__(self, micro_batches: int) -> None:
        parts = {key: value.chunk(micro_batches) for key, value in rows().items()}
        counts = {key: (rows()[key] != -100).sum() for key in ("labels", "next_sentence_labels")}
        self.batches = [
            {**{key: part[i] for key, part in parts.items()}, "num_targets": counts}
            for i in range(micro_batches)
        ]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Any:
        return iter(self.batches)


def task(name: str, dtype: str, **options: Any) -> Task:
    torch.manual_seed(1)
    backbone = BackboneConfig(
        hidden_size=14, num_heads=2, head_dim=6, num_layers=2, max_seq_len=23, num_segments=2
    )
    vocabulary = Vocabulary(size=VOCAB, labels=("a", "b", "c"))
    made = TASKS[name](vocabulary=vocabulary, backbone=backbone, **options).to(DTYPES[dtype])
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return made


class Watch(Callback):
    """Keeps the gradients of the first step, and what each step logs."""

    def __init__(self) -> None:
        self.gradients: Gradients = {}
        self.logged: list[dict[str, float]] = []

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        if not self.gradients:
            self.gradients = {n: p.grad.clone() for n, p in module.named_parameters()}

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self.logged.append({k: float(v) for k, v in trainer.callback_metrics.items()})


def trainer(dtype: str = "float32", **options: Any) -> Trainer:
    given: dict[str, Any] = {"max_steps": 1, **options}
    return Trainer(
        accelerator="cpu",
        precision="64-true" if dtype == "float64" else "32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **given,
    )


def step(name: str, dtype: str, loader: Any = None, **options: Any) -> Watch:
    """Makes one step, by default over the rows by way of the package's loader."""
    watch = Watch()
    runner = trainer(dtype, callbacks=[watch], **options)
    if loader is None:
        examples: Any = Rows()
        loader = StepLoader(Samples(examples), batch_size=ROWS, seed=5, trainer=runner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runner.fit(task(name, dtype), loader)
    return watch


def main(path: str) -> None:
    """All tasks in all precisions, as one of two ranks."""
    torch.set_num_threads(1)
    found = {}
    for name in TASKS:
        for dtype in DTYPES:
            watch = step(name, dtype, devices=2, strategy="ddp")
            found[name, dtype] = (watch.gradients, watch.logged)
    if torch.distributed.get_rank() == 0:
        torch.save(found, path)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
