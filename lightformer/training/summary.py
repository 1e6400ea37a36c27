"""What a run says at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def summary(task: Any, data: Any, best: dict[str, float], steps: int, folder: Path) -> list[str]:
    """Returns three lines: what was learnt, where it is, and how to look at it and use it.

    Args:
        task: has `headlines`, the metrics that tell what was learnt
        data: has `baselines`, what is reached without learning
        best: metrics of the best checkpoint
        steps: optimizer steps that were taken
        folder: of the run
    """
    baselines = data.baselines() if hasattr(data, "baselines") else {}
    learnt = []
    for metric, baseline in getattr(task, "headlines", {}).items():
        if metric in best:
            beside = ", ".join(f"{n} {v:.3f}" for n, v in baselines.get(baseline, {}).items())
            learnt.append(
                f"{metric} {best[metric]:.3f}" + (f" (beside {beside})" if beside else "")
            )
    checkpoint = folder / "checkpoints" / "best.ckpt"
    if not checkpoint.exists():
        checkpoint = folder / "checkpoints" / "last.ckpt"
    return [
        f"learnt in {steps} steps: {'; '.join(learnt) or 'no validation was made'}",
        f"checkpoint: {checkpoint}",
        f"look: tensorboard --logdir {folder.parent}   use: {use(task, data, checkpoint)}",
    ]


def use(task: Any, data: Any, checkpoint: Path) -> str:
    """Returns the command that uses a trained model."""
    if hasattr(task, "generate_text"):
        return f'lightformer generate {checkpoint} --prompt "The "'
    if hasattr(task, "fill_mask"):
        mask = data.tokenizer.decode([task.vocabulary.mask_id], skip_special_tokens=False)
        return f'lightformer fill-mask {checkpoint} "Return the {mask} of the list."'
    return f"lightformer test --ckpt_path {checkpoint}"
