"""Checkpoints that are no good: each gets its sentence, and nothing in them is run."""

from __future__ import annotations

import errno
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lightformer.errors import StorageError
from lightformer.tokenizer import Tokenizer
from lightformer.training.checkpoint_io import AtomicCheckpointIO
from tests.e2e.harness import ROOT, TINY, here, saved_by

GENERATE = ("--prompt", "a", "--max_new_tokens", "3")


@pytest.fixture
def good(trained, tmp_path: Path) -> Path:
    """A whole checkpoint in the working directory, with its tokenizer."""
    for name in ("best.ckpt", "tokenizer.json"):
        shutil.copy(trained("clm") / "checkpoints" / name, tmp_path / name.replace("best", "good"))
    return tmp_path / "good.ckpt"


def truncated(good: Path, bad: Path) -> None:
    bad.write_bytes(good.read_bytes()[: good.stat().st_size // 2])


def empty(good: Path, bad: Path) -> None:
    bad.touch()


def noise(good: Path, bad: Path) -> None:
    bad.write_bytes(random.Random(0).randbytes(1009))


def folder(good: Path, bad: Path) -> None:
    bad.mkdir()


def one_bit(good: Path, bad: Path) -> None:
    content = bytearray(good.read_bytes())
    weight = torch.load(good, weights_only=True)["state_dict"]["backbone.embeddings.token.weight"]
    place = content.index(weight.numpy().tobytes()[:64])
    content[place + 11] ^= 4
    bad.write_bytes(content)


def not_finite(good: Path, bad: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["state_dict"]["backbone.norm.weight"][3] = float("nan")

    saved_by(good, bad, change)


def newer(good: Path, bad: Path) -> None:
    saved_by(good, bad, lambda content: content["lightformer"].update(format=7))


def bare(good: Path, bad: Path) -> None:
    saved_by(good, bad, lambda content: content["state_dict"])


def foreign(good: Path, bad: Path) -> None:
    saved_by(good, bad, lambda content: {"state_dict": content["state_dict"]})


def other_part(good: Path, bad: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["hyper_parameters"]["backbone"]["attention"] = {"name": "telepathy", "range": 3}
        content["lightformer"]["plugins"] = {"plugins/telepathy.py": "/nowhere/telepathy.py"}

    saved_by(good, bad, change)


def other_task(good: Path, bad: Path) -> None:
    saved_by(good, bad, lambda content: content["lightformer"].update(task="Divination"))


def other_sizes(good: Path, bad: Path) -> None:
    saved_by(
        good,
        bad,
        lambda content: content["hyper_parameters"]["backbone"].update(intermediate_size=11),
    )


WHOLE = " This one is whole: good.ckpt."
BAD: dict[Callable[[Path, Path], None], str] = {
    truncated: f"bad.ckpt is not a whole checkpoint: it is cut off, or another kind of file.{WHOLE}",
    empty: f"bad.ckpt is not a whole checkpoint: it is cut off, or another kind of file.{WHOLE}",
    noise: f"bad.ckpt is not a whole checkpoint: it is cut off, or another kind of file.{WHOLE}",
    folder: "bad.ckpt is a folder, and has no checkpoint in it.",
    one_bit: "bad.ckpt is damaged: the checksum of its record ",
    not_finite: "bad.ckpt holds numbers that are not finite, in backbone.norm.weight and 0 more of ",
    newer: "bad.ckpt has format 7, but this version of lightformer reads up to 1; upgrade lightformer.",
    bare: "bad.ckpt is not a checkpoint of lightformer: it has no state_dict with a model's weights in it.",
    foreign: "bad.ckpt was not written by lightformer: it has weights, but does not say which model they are of.",
    other_part: "bad.ckpt needs a plugin that is not loaded. There is no attention 'telepathy'.",
    other_task: "There is no task 'Divination'; a plugin of yours that defines it must be loaded first.",
    other_sizes: "bad.ckpt does not fit the model: ",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_bad_checkpoint_gets_its_sentence(
    good: Path, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    make(good, tmp_path / "bad.ckpt")
    done = here("generate", "bad.ckpt", *GENERATE, cwd=tmp_path)
    assert done.code == 4
    assert done.err.startswith(f"error: {BAD[make]}")
    assert done.err.count("\n") == 1


def test_the_plugins_that_a_checkpoint_needs_are_named(good: Path, tmp_path: Path) -> None:
    other_part(good, tmp_path / "bad.ckpt")
    done = here("generate", "bad.ckpt", *GENERATE, cwd=tmp_path)
    assert done.err.endswith(
        "It was trained with these plugins: plugins/telepathy.py; load yours with "
        "lightformer.load_plugins([...]) or --plugins.\n"
    )


def test_a_good_one_is_read(good: Path, tmp_path: Path) -> None:
    assert here("generate", "good.ckpt", *GENERATE, cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    "command", ["generate", "fill-mask", "test --ckpt_path", "fit --config c.yaml --ckpt_path"]
)
def test_a_missing_one_is_named(good: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "c.yaml").write_text((ROOT / "configs" / "clm.yaml").read_text())
    done = here(
        *command.split(), "god.ckpt", *(["x"] if command == "fill-mask" else []), cwd=tmp_path
    )
    assert done.code == 4
    assert done.err.startswith("error: There is no checkpoint god.ckpt.")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("make", [truncated, not_finite, one_bit], ids=lambda make: make.__name__)
def test_a_run_does_not_go_on_from_a_bad_one(
    trained, good: Path, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    make(good, tmp_path / "bad.ckpt")
    config = trained("clm") / "config.yaml"
    done = here(
        "fit", "--config", config, "--ckpt_path", "bad.ckpt", "--trainer.max_steps", 5, cwd=tmp_path
    )
    assert done.code == 4
    assert done.error.startswith(f"error: {BAD[make]}")
    assert "Traceback" not in done.err


class Malice:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))]
)
@pytest.mark.parametrize("command", ["generate", "test", "fit", "init_from"])
def test_malice_is_not_run(
    trained, good: Path, tmp_path: Path, write: Callable[..., Any], command: str
) -> None:
    done_harm = tmp_path / "harm"
    content = torch.load(good, weights_only=True)
    write({**content, "extra": Malice(done_harm)}, tmp_path / "bad.ckpt")
    config = trained("clm") / "config.yaml"
    words = {
        "generate": ["generate", "bad.ckpt", *GENERATE],
        "test": ["test", "--config", config, "--ckpt_path", "bad.ckpt"],
        "fit": ["fit", "--config", config, "--ckpt_path", "bad.ckpt"],
        "init_from": ["fit", "--config", config, "--model.init_from", "bad.ckpt"],
    }[command]
    (tmp_path / "tokenizer.json").write_text(
        (trained("clm") / "checkpoints" / "tokenizer.json").read_text()
    )
    done = here(*words, cwd=tmp_path)
    assert not done_harm.exists()
    assert done.code == 4
    assert done.error.startswith("error: bad.ckpt ")
    pickled = pickle.dumps(Malice(done_harm))  # that it would do harm
    pickle.loads(pickled)
    assert done_harm.exists()


def test_another_tokenizer_is_refused(trained, good: Path, tmp_path: Path, cache_dir: Path) -> None:
    config, tokenizer = ROOT / "configs" / "clm.yaml", tmp_path / "other.json"
    shutil.copy(trained("clm-chars") / "checkpoints" / "tokenizer.json", tokenizer)
    theirs, ours = (
        Tokenizer.from_file(path).fingerprint for path in (tmp_path / "tokenizer.json", tokenizer)
    )
    words = (
        "fit",
        "--config",
        config,
        "--data.cache_dir",
        cache_dir,
        *TINY,
        "--data.tokenizer.file",
        tokenizer,
    )
    done = here(*words, "--trainer.max_steps", 1, "--model.init_from", "good.ckpt", cwd=tmp_path)
    assert done.code == 4
    assert done.error == (
        f"error: good.ckpt was trained with the tokenizer {theirs}, but {tokenizer} is {ours}; leave "
        "data.tokenizer.file out, or train from scratch."
    )


def test_another_architecture_is_refused(good: Path, tmp_path: Path, cache_dir: Path) -> None:
    config = ROOT / "configs" / "clm.yaml"
    words = (
        "fit",
        "--config",
        config,
        "--data.cache_dir",
        cache_dir,
        *TINY,
        "--model.backbone.num_layers",
        3,
    )
    done = here(*words, "--trainer.max_steps", 1, "--model.init_from", "good.ckpt", cwd=tmp_path)
    assert done.code == 4
    assert done.error == (
        "error: The backbone of good.ckpt has num_layers 2, but the config asks for 3; leave num_layers out, or "
        "train from scratch without init_from."
    )


# --- writing


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"weight": torch.ones(7)}}, path)
    return path


def weight(path: Path) -> float:
    return float(torch.load(path, weights_only=True)["state_dict"]["weight"][0])


def test_a_new_one_takes_the_place_of_the_old(saved: Path) -> None:
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"weight": torch.zeros(7)}}, saved)
    assert weight(saved) == 0.0
    assert os.listdir(saved.parent) == ["last.ckpt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("odd")])
def test_the_old_one_stays_when_saving_breaks_off(
    saved: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def break_off(content: Any, file: Any) -> None:
        file.write(b"half")
        raise error

    monkeypatch.setattr(torch, "save", break_off)
    with pytest.raises(type(error)):
        AtomicCheckpointIO().save_checkpoint({"state_dict": {"weight": torch.zeros(7)}}, saved)
    assert weight(saved) == 1.0
    assert os.listdir(saved.parent) == ["last.ckpt"]


def full_disk(content: Any, file: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_disk_as_torch_says_it(content: Any, file: Any) -> None:
    raise RuntimeError(
        "[enforce fail at inline_container.cc:668] . unexpected pos 64 vs 0\nframe #0: ..."
    )


@pytest.mark.parametrize("fault", [full_disk, full_disk_as_torch_says_it])
def test_a_full_disk_is_said_with_bytes(
    saved: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., None]
) -> None:
    monkeypatch.setattr(torch, "save", fault)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9000, 7659, 1341))
    with pytest.raises(StorageError) as caught:
        AtomicCheckpointIO().save_checkpoint({"state_dict": {"weight": torch.zeros(1009)}}, saved)
    sentence = str(caught.value)
    assert sentence.startswith(
        f"{saved} cannot be written: it needs about 4,036 bytes and 1,341 are free ("
    )
    assert sentence.endswith("); earlier checkpoints are as they were.")
    assert "\n" not in sentence
    assert weight(saved) == 1.0
    assert os.listdir(saved.parent) == ["last.ckpt"]


def test_what_reads_back_differently_is_not_kept(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = torch.save

    def flip(content: Any, file: Any) -> None:
        save(content, file)
        file.flush()
        with open(
            file.name if isinstance(file.name, str) else f"/proc/self/fd/{file.name}", "r+b"
        ) as other:
            data = other.read()
            other.seek(data.index(torch.full((7,), 2.0).numpy().tobytes()))
            other.write(b"\x01")

    monkeypatch.setattr(torch, "save", flip)
    with pytest.raises(StorageError, match="reads back differently"):
        AtomicCheckpointIO().save_checkpoint(
            {"state_dict": {"weight": torch.full((7,), 2.0)}}, saved
        )
    assert weight(saved) == 1.0
