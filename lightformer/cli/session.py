"""One run: the Trainer's callbacks and logger, and what is said at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

from lightformer.cli.command_line import CommandLine
from lightformer.cli.trainer_cli import LightformerCLI
from lightformer.errors import CheckpointError
from lightformer.plain import to_plain
from lightformer.pretrained import Pretrained, read_ahead
from lightformer.tokenizer import TOKENIZER, Tokenizer, TokenizerConfig
from lightformer.training.best_and_last import BestAndLast, check_writable, is_trial
from lightformer.training.quiet import quieten
from lightformer.training.record import write_tokenizer
from lightformer.training.setup import run_callbacks, run_logger, run_plugins
from lightformer.training.summary import summary


class Session(LightformerCLI):
    """`LightformerCLI` with the defaults of a lightformer run: TensorBoard, checkpoints, closing lines."""

    def before_instantiate_classes(self) -> None:
        super().before_instantiate_classes()
        config = self.config[self.subcommand]
        given = config.get("data.init_args.tokenizer.file")
        named = config.get("model.init_args.init_from")
        if start := start_of(named, config.get("ckpt_path")):
            config["model.init_args.init_from"] = start
            if start != named:
                rank_zero_info(f"init_from {named} is not used: {start} has what was taken over")
            file = tokenizer_of(
                read_ahead(start), None if given is None or start != named else str(given)
            )
            rank_zero_info(f"tokenizer: {file}")
            chosen = Namespace(vars(TokenizerConfig(file=file)))  # type: ignore[no-untyped-call]
            config["data.init_args.tokenizer"] = chosen

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        quieten()
        config = dict(self._get(self.config_init, "trainer", default={}))
        given = config.get("callbacks") or []
        text = self._parser(self.subcommand).dump(self.config[self.subcommand])
        output = self._get(self.config_init, "output") if self.subcommand == "predict" else None
        self.trainer_defaults["callbacks"] = run_callbacks(
            config, given if isinstance(given, list) else [given], text, output
        )
        kwargs["plugins"] = run_plugins(config.get("plugins"))
        if config.get("logger") in (None, True):
            kwargs["logger"] = self._logger(config) if self.subcommand == "fit" else False
        return super().instantiate_trainer(**kwargs)

    def _logger(self, config: dict[str, Any]) -> TensorBoardLogger:
        checkpoint = self._get(self.config_init, "ckpt_path")
        if checkpoint and Path(checkpoint).parent.name == "checkpoints":
            run = Path(checkpoint).absolute().parent.parent  # the run goes on where it was
            return TensorBoardLogger(
                save_dir=run.parent.parent,
                name=run.parent.name,
                version=run.name,
                default_hp_metric=False,
            )
        return run_logger(config.get("default_root_dir"), self._run_name())

    def _run_name(self) -> str:
        files = self._get(self.config, "config") or []
        paths = [Path(str(getattr(f, "absolute", f))) for f in files if f is not None]
        if not paths:
            return type(self.model).__name__
        first = paths[0].absolute()
        is_a_run = first.parent.name.startswith("version_") and first.stem.startswith("config")
        return first.parent.parent.name if is_a_run else first.stem

    def before_fit(self) -> None:
        if (saves := self._best_and_last()) is not None and self.trainer.is_global_zero:
            root = Path(str(self.trainer.log_dir or self.trainer.default_root_dir))
            if not is_trial(self.trainer):
                print(f"run: {root}")
                folder = saves.folder or root / "checkpoints"
                check_writable(folder)
                write_tokenizer(self.datamodule.tokenizer, folder)

    def after_fit(self) -> None:
        if not is_trial(self.trainer):
            root = self.trainer.log_dir or self.trainer.default_root_dir  # asks all ranks
            self._say_what_was_learnt(Path(root))

    @rank_zero_only
    def _say_what_was_learnt(self, root: Path) -> None:
        if (saves := self._best_and_last()) is None:
            return
        # Spawned ranks leave their callbacks behind, but hand the metrics over.
        best = saves.best or {k: float(v) for k, v in self.trainer.callback_metrics.items()}
        steps = self.trainer.global_step
        for line in summary(self.model, self.datamodule, best, steps, root):
            print(line)

    def _best_and_last(self) -> BestAndLast | None:
        found = [c for c in self.trainer.checkpoint_callbacks if isinstance(c, BestAndLast)]
        return found[0] if found else None


def start_of(named: str | None, checkpoint: Any) -> str | None:
    """Returns the model that a run starts from: where it goes on, its own, which holds what was taken over.

    Args:
        named: the one that `init_from` names; None for no such model
        checkpoint: of the run that goes on
    """
    if named and checkpoint and Path(checkpoint).is_file():
        return str(checkpoint)
    return named


def fill_backbone(line: CommandLine) -> None:
    """Puts the backbone of the model that a run starts from before what the user says of it, all of which counts."""
    named = (line.tree.get("model") or {}).get("init_from")
    if start := start_of(named, line.tree.get("ckpt_path")):
        theirs = to_plain(read_ahead(start).config)
        del theirs["is_causal"]  # the task decides
        line.fill("model", {"backbone": theirs})


def tokenizer_of(start: Pretrained, given: str | None) -> str:
    """Returns the file of the tokenizer that a model to start from was trained with.

    The same words must have the same numbers, so that the data takes the tokenizer over.

    Args:
        start: the model
        given: a file that the user named

    Raises:
        CheckpointError: there is no such file, or the user named another tokenizer.
    """
    place = Path(start.path)
    file = given or str((place if place.is_dir() else place.parent) / TOKENIZER)
    if not Path(file).exists():
        raise CheckpointError(
            f"A model that starts from {start.path} needs its tokenizer, but there is no {file}; "
            "set data.tokenizer.file."
        )
    if start.tokenizer:
        theirs, ours = Tokenizer.from_json(start.tokenizer), Tokenizer.from_file(file)
        if theirs.fingerprint != ours.fingerprint:
            raise CheckpointError(
                f"{start.path} was trained with the tokenizer {theirs.fingerprint}, but {file} is "
                f"{ours.fingerprint}; leave data.tokenizer.file out, or train from scratch."
            )
    return file
