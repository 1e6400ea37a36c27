"""The overlays of `configs/trainer`: each comes after a config and changes how it is run, and not what is learnt."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.e2e.harness import ROOT, TINY, Done, apart, events, here, run_folder, scalars

OVERLAYS = ROOT / "configs" / "trainer"
STEPS = """
    --trainer.max_steps 4 --trainer.val_check_interval 2 --trainer.limit_val_batches 1.0
    --model.schedule inverse_sqrt --model.schedule.warmup_steps 0
""".split()
TWO = {
    "ddp": ["--trainer.accelerator", "cpu", "--trainer.devices", "2"],
    "fsdp": ["--trainer.accelerator", "cpu"],
}


def words(cache_dir: Path, overlay: str, config: str = "mlm") -> list[str]:
    files = [
        "--config",
        str(ROOT / "configs" / f"{config}.yaml"),
        "--config",
        str(OVERLAYS / f"{overlay}.yaml"),
    ]
    return ["fit", *files, "--data.cache_dir", str(cache_dir), *TINY]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    cwd = tmp_path_factory.mktemp("one")
    return run_folder(here(*words(cache_dir, "cpu"), *STEPS, cwd=cwd), cwd)


def test_each_overlay_is_tried_here() -> None:
    assert {path.stem for path in OVERLAYS.glob("*.yaml")} == {"cpu", "debug", "gpu", *TWO}


def test_cpu(one_process: Path) -> None:
    assert "  accelerator: cpu\n" in (one_process / "config.yaml").read_text()
    assert len(scalars(one_process, "train/loss")) == 4


def test_debug_leaves_no_files(cache_dir: Path, tmp_path: Path) -> None:
    done = here(*words(cache_dir, "debug"), cwd=tmp_path)
    assert done.code == 0, done.err
    assert "5/5" in done.out + done.err
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_without_one_is_refused(cache_dir: Path, tmp_path: Path) -> None:
    done = here(*words(cache_dir, "gpu"), cwd=tmp_path)
    assert done.code == 2
    assert (
        done.err
        == "error: --trainer.accelerator: no GPU was found on this machine; use cpu, or auto.\n"
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_gpu(one_process: Path, cache_dir: Path, tmp_path: Path) -> None:
    run = run_folder(here(*words(cache_dir, "gpu"), *STEPS, cwd=tmp_path), tmp_path)
    assert scalars(run, "train/loss") == pytest.approx(scalars(one_process, "train/loss"), rel=0.02)


def both(done: Done, cwd: Path) -> Path:
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert [path.name for path in (cwd / "runs" / "mlm").iterdir()] == ["version_0"]
    return run_folder(done, cwd)


def validated(run: Path) -> list[float]:
    """The loss after 2 steps and after 4; between them a stopped run tells the first once more."""
    found = scalars(run, "val/loss")
    return [found[0], found[-1]]


@pytest.mark.parametrize("overlay", TWO)
def test_two_processes_learn_the_same_and_go_on_where_they_stopped(
    one_process: Path, cache_dir: Path, tmp_path: Path, overlay: str
) -> None:
    given = [*words(cache_dir, overlay), *TWO[overlay], *STEPS]
    stopped = both(apart(*given, "--trainer.max_steps", "2", cwd=tmp_path), tmp_path)
    last = stopped / "checkpoints" / "last.ckpt"
    done = apart(*given, "--ckpt_path", last, cwd=tmp_path)
    run = both(done, tmp_path)
    one, two = (
        torch.load(r / "checkpoints" / "last.ckpt", weights_only=True) for r in (one_process, run)
    )
    assert one["global_step"] == two["global_step"] == 4
    for name in ("train/loss", "train/grad_norm", "train/lr"):
        assert scalars(run, name) == pytest.approx(scalars(one_process, name), abs=1e-4), name
    assert validated(run) == pytest.approx(validated(one_process), abs=1e-4)
    one, two = one["state_dict"], two["state_dict"]
    assert one.keys() == two.keys()
    for name in one:
        assert one[name].shape == two[name].shape
        assert torch.allclose(one[name], two[name], atol=3e-4), (
            name
        )  # Adam makes much of tiny gradients
    assert "predictions/text_summary" in events(run).Tags()["tensors"]
    assert sum(line.startswith("learnt in 4 steps: ") for line in done.out.splitlines()) == 1
    use = here("fill-mask", run / "checkpoints" / "best.ckpt", "a [MASK]", cwd=tmp_path)
    assert use.out.startswith("[MASK] 1\n")
