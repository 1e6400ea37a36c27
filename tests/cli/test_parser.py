"""What reaches the model: defaults, switches, short names, and the sentences for wrong values."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lightformer import attention, norm, plugins
from lightformer.cli.main import main
from lightformer.errors import ConfigError
from lightformer.plain import to_plain
from lightformer.tasks import Task

TINY = """model:
  name: MaskedLM
  backbone: {hidden_size: 30, num_heads: 3, num_layers: 1, max_seq_len: 16}
data:
  name: TextFiles
  train: text.txt
  tokenizer: {kind: characters}
  batch_size: 2
  examples: {seq_len: 11}
trainer:
  accelerator: cpu
  max_steps: 2
  limit_val_batches: 1
  enable_progress_bar: false
  enable_model_summary: false
  default_root_dir: runs
"""

PLUGIN = '''"""A task, a data module and parts of a user's."""
from lightformer import register
from lightformer.data import TextFiles
from lightformer.position import NoPosition
from lightformer.tasks import MaskedLM


class MyTask(MaskedLM):
    """Masked language modeling, and a word.

    Args:
        word: said at the start
    """

    data_defaults = {"examples": "windows", "masking": "token", "num_workers": 0}

    def __init__(self, word: str = "hello", **options) -> None:
        super().__init__(**options)


class MyText(TextFiles):
    """Text, as it is."""


for name in ("first_in_loop", "second_in_loop"):
    register("position", name)(type(name, (NoPosition,), {}))
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_loaded", {})
    (tmp_path / "x.yaml").write_text(TINY)
    (tmp_path / "text.txt").write_text("The quick brown fox jumps over the lazy dog.\n\n" * 23)
    return tmp_path


@pytest.fixture
def config(folder: Path, capsys):
    """Returns the whole config that a command line leads to."""

    def run(line: str, *more: str) -> dict[str, Any]:
        code = main([*line.split(), *more, "--print_config"])
        out, err = capsys.readouterr()
        assert code == 0, err
        (folder / "printed.yaml").write_text(out)
        return yaml.safe_load(out)

    return run


def test_a_part_that_is_chosen_has_its_own_defaults(config) -> None:
    values = config("fit -c x.yaml")["model"]
    assert values["optimizer"]["name"] == "adamw"
    assert values["optimizer"]["weight_decay"] == 0.01
    assert config("fit -c x.yaml --model.optimizer sgd")["model"]["optimizer"] == {
        "name": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.0,
    }
    norm = config("fit -c x.yaml --model.backbone.norm rms_norm")["model"]["backbone"]["norm"]
    assert norm == {"name": "rms_norm", "eps": 1e-06}


def test_an_option_that_was_written_goes_along(config) -> None:
    line = "fit -c x.yaml --model.optimizer.lr 3e-3 --model.optimizer sgd"
    assert config(line)["model"]["optimizer"]["lr"] == 0.003


@pytest.mark.parametrize(
    "words",
    [
        ("={name: mha, qk_norm: {name: rms_norm, eps: 1e-3}}",),
        (".qk_norm={name: rms_norm, eps: 1e-3}",),
        (".qk_norm=rms_norm", ".qk_norm.eps=1e-3"),
    ],
    ids=range(3),
)
def test_a_part_may_choose_a_part(config, words) -> None:
    path = "--model.backbone.attention"
    values = config("fit -c x.yaml", *(path + word for word in words))
    assert values["model"]["backbone"]["attention"] == to_plain(
        attention.mha(qk_norm=norm.rms_norm(eps=1e-3))
    )


@pytest.mark.parametrize(
    "words",
    [
        ("={name: gqa, num_kv_heads: 1, dropout: 5e-1}",),
        ("=gqa", ".num_kv_heads=1", ".dropout=.5"),
        ("=lightformer.attention.gqa", ".init_args.num_kv_heads=1", ".dropout=0.5"),
        ("={class_path: gqa, init_args: {num_kv_heads: 1}}", ".dropout=0.5"),
    ],
    ids=range(4),
)
def test_every_way_to_write_a_choice_means_the_same(config, words) -> None:
    path = "--model.backbone.attention"
    values = config("fit -c x.yaml", *(path + word for word in words))
    found = values["model"]["backbone"]["attention"]
    assert (found["name"], found["num_kv_heads"], found["dropout"]) == ("gqa", 1, 0.5)
    assert found == to_plain(attention.gqa(num_kv_heads=1, dropout=0.5))


def test_printed_config_reads_back_to_itself(config) -> None:
    pattern = "[{attention: {name: sliding_window, window: 3}}, {feedforward: gated}, {}]"
    first = config("fit -c x.yaml", f"--model.backbone.pattern={pattern}")
    assert first["model"]["backbone"]["pattern"][1]["feedforward"]["name"] == "gated"
    text = Path("printed.yaml").read_text()
    assert "class_path" not in text
    assert "init_args" not in text
    assert config("fit -c printed.yaml") == first
    assert Path("printed.yaml").read_text() == text


def test_the_task_says_what_it_wants_of_the_data_unless_the_user_does(config) -> None:
    data = config("fit -c x.yaml")["data"]
    assert data["examples"] == {"name": "windows", "seq_len": 11, "special_tokens": False}
    assert data["masking"]["name"] == "token"
    data = config("fit -c x.yaml --data.masking null --data.examples sentence_pairs")["data"]
    assert data["masking"]["name"] == "token"  # none, so filled
    assert data["examples"]["name"] == "sentence_pairs"
    assert config("fit -c x.yaml --model CausalLM")["data"]["masking"] is None


def test_tasks_data_and_parts_of_a_plugin_are_chosen_by_name(config) -> None:
    Path("plugins").mkdir()
    Path("plugins/my_own.py").write_text(PLUGIN)
    line = "fit -c x.yaml --model MyTask --model.word hi --data MyText --data.train text.txt"
    values = config(f"{line} --model.backbone.position second_in_loop")
    assert values["model"]["name"] == "MyTask"
    assert values["model"]["word"] == "hi"
    assert values["data"]["name"] == "MyText"
    assert values["data"]["masking"]["name"] == "token"
    assert values["model"]["backbone"]["position"] == "second_in_loop"


WRONG = {
    "--trainer.precision 17": (
        "--trainer.precision must be 64, 32, 16, transformer-engine, transformer-engine-float16, "
        "16-true, 16-mixed, bf16-true, bf16-mixed, 32-true, 64-true or bf16, but is '17'."
    ),
    "--seed_everything abc": (
        "--seed_everything must be true or false or a whole number, but is 'abc'."
    ),
    "--model.optimizer.betas 3": "--model.optimizer.betas must be a list, but is '3'.",
    "--model.backbone.pattern 3": "--model.backbone.pattern must be a list, but is '3'.",
    "--trainer.callbacks EarlyStoping": (
        "--trainer.callbacks: there is no class 'EarlyStoping'; write where it is, "
        "as in lightning.pytorch.callbacks.Timer."
    ),
    "--trainer.callbacks=[EarlyStopping]": (
        "--trainer.callbacks: EarlyStopping needs monitor, which has no default."
    ),
    "--trainer.devices": "--trainer.devices needs a value.",
    "--trainer.precision 16-mixed": (
        "--trainer.precision: 16-mixed needs a GPU, but this run is on the CPU; "
        "use bf16-mixed or 32-true."
    ),
    "--trainer.accelerator foo": (
        "--trainer.accelerator: there is no accelerator 'foo'; use cpu, gpu, mps, tpu or auto."
    ),
    "--trainer.devices 0": (
        "--trainer.devices must be a whole number above 0 for the cpu, but is 0."
    ),
    "--trainer.strategy fsdp": (
        "--trainer.strategy: fsdp needs a GPU, but this run is on the CPU; use auto or ddp."
    ),
    "--trainer.strategy foo": (
        "--trainer.strategy: there is no strategy 'foo'; use auto, ddp, ddp_spawn or fsdp."
    ),
    "--model.backbone.hidden_size 31": (
        "hidden_size must be a multiple of num_heads, but 31 is not one of 3."
    ),
    "--trainer.val_check_interval 1000": (
        "--trainer.val_check_interval must be at most the number of batches in an epoch, but 1000 is "
        "more than 42; with --trainer.check_val_every_n_epoch null it counts over all epochs."
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("words", WRONG)
def test_wrong_values(folder: Path, capsys, words: str) -> None:
    assert main(["fit", "-c", "x.yaml", *words.split()]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {WRONG[words]}"


@pytest.mark.skipif("__import__('torch').cuda.is_available()")
@pytest.mark.filterwarnings("ignore")
def test_a_gpu_that_is_not_there(folder: Path, capsys) -> None:
    assert main(["fit", "-c", "x.yaml", "--trainer.accelerator", "gpu"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: --trainer.accelerator: no GPU was found on this machine; use cpu, or auto."
    )


def test_the_parser_takes_no_abbreviation_and_imports_no_stranger(tmp_path, monkeypatch) -> None:
    from lightformer.cli.trainer_cli import Parser

    parser = Parser()
    parser.add_argument("--max_steps", type=int)
    with pytest.raises(ConfigError, match="unrecognized arguments: --max_step 3"):
        parser.parse_args(["--max_step", "3"])
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "stranger.py").write_text("open('HACKED', 'w')\nclass Thing: ...\n")
    monkeypatch.chdir(tmp_path)
    parser.add_subclass_arguments(Task, "task")
    with pytest.raises(
        ConfigError, match=r"--task: stranger.Thing is not imported; only classes of"
    ):
        parser.parse_args(["--task", "stranger.Thing"])
    assert not (tmp_path / "HACKED").exists()


@pytest.mark.filterwarnings("ignore")
def test_a_run_leaves_its_config_and_a_checkpoint_finds_it(folder: Path, capsys) -> None:
    assert main(["fit", "-c", "x.yaml", "--model.optimizer.lr", "3e-3"]) == 0
    (saved,) = Path("runs").rglob("config.yaml")
    values = yaml.safe_load(saved.read_text())
    assert values["model"]["optimizer"]["lr"] == 0.003
    assert values["data"]["examples"]["name"] == "windows"
    checkpoint = str(next(saved.parent.rglob("last.ckpt")))
    capsys.readouterr()
    line = ["validate", "--ckpt_path", checkpoint, "--data.batch_size", "3", "--print_config"]
    assert main(line) == 0
    again = yaml.safe_load(capsys.readouterr().out)
    assert again["model"] == values["model"]
    assert again["data"] == {**values["data"], "batch_size": 3}
    before = saved.read_text()
    more = ["--trainer.accelerator", "cpu", "--trainer.limit_val_batches", "1"]
    assert main(["validate", "--ckpt_path", checkpoint, *more]) == 0
    assert main(["fit", "--ckpt_path", checkpoint, "--trainer.max_steps", "3"]) == 0
    assert saved.read_text() == before
    assert yaml.safe_load((saved.parent / "config-2.yaml").read_text())["trainer"]["max_steps"] == 3


@pytest.mark.filterwarnings("ignore")
def test_without_a_logger_nothing_is_written_to_the_working_directory(folder: Path) -> None:
    before = set(folder.iterdir())
    line = ["fit", "-c", "x.yaml", "--trainer.logger", "false"]
    assert main([*line, "--trainer.enable_checkpointing", "false"]) == 0
    assert {p.name for p in set(folder.iterdir()) - before} <= {"data", "runs"}
    assert not list(folder.rglob("config.yaml"))
