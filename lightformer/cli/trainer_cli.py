"""LightningCLI, with short names for parts and sentences for mistakes. It imports torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import Namespace, set_dumper, set_loader, set_parsing_settings
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback

from lightformer import registry
from lightformer.catalogue.index import Catalogue
from lightformer.cli.check import TRUSTED
from lightformer.cli.document import load_yaml
from lightformer.cli.explain import NO_GPU, explain, explain_lightning
from lightformer.cli.options import RUN_OPTIONS
from lightformer.cli.short_form import expand_inline, shorten
from lightformer.errors import ConfigError, LightformerError, StorageError
from lightformer.plugins import loaded
from lightformer.vocabulary import Vocabulary


def _load(text: str) -> Any:
    value = load_yaml(text)
    words_alone = isinstance(value, dict) and value and all(v is None for v in value.values())
    return text if words_alone and "\n" not in text.strip() else expand_inline(value)


def _dump(values: Any) -> str:
    return yaml.safe_dump(
        shorten(values), sort_keys=False, allow_unicode=True, default_flow_style=False
    )


set_loader("yaml", _load, (yaml.YAMLError, ConfigError))
set_dumper("yaml", _dump)
set_parsing_settings(
    import_path_denylist=["*"],  # a class_path is checked against these before it is imported
    import_path_allowlist=[*TRUSTED, "lightformer", "lightformer_plugins"],
    subclasses_enabled=[Vocabulary],  # one value that the data gives, and not a group of options
)


class Parser(LightningArgumentParser):
    """Takes no abbreviations, and answers a mistake with one sentence."""

    catalogue = Catalogue()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:  # a trial, such as one type of a union
            super().error(message, ex)
        raise ConfigError(explain(message, self.catalogue)) from ex

    def get_defaults(self, *args: Any, **kwargs: Any) -> Namespace:
        """Without the options of the default parts: a part chosen instead would get these, and not
        its own (https://github.com/mauvilsa/jsonargparse/issues/460). The parser adds the options
        of the chosen part later.
        """
        return _without_part_defaults(super().get_defaults(*args, **kwargs))


def know(catalogue: Catalogue) -> None:
    """Lets parsers find all parts by their short names, and suggest what there is."""
    Parser.catalogue = catalogue
    for kind in registry.KINDS:  # a short name is found among classes that are imported
        registry.names(kind)
    set_parsing_settings(import_path_allowlist=sorted(catalogue.modules))


def _without_part_defaults(config: Namespace) -> Namespace:
    for value in vars(config).values():
        if not isinstance(value, Namespace):
            continue
        kind, _, name = str(value.get("class_path")).removeprefix("lightformer.").partition(".")
        given = value.get("init_args")
        if kind in registry.KINDS and name in registry.names(kind) and isinstance(given, Namespace):
            own = {f.name: f.default for f in dataclasses.fields(registry.find(kind, name))}
            for option in [o for o, v in vars(given).items() if o in own and own[o] == v]:
                del given[option]
        _without_part_defaults(value)
    return config


class SaveConfig(SaveConfigCallback):
    """Writes `config.yaml` into a training run's folder, from which the run can be repeated."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit" or not trainer.loggers or self.already_saved:
            return  # without a logger the folder would be the working directory
        folder = trainer.log_dir  # asks all ranks
        if trainer.is_global_zero and folder is not None:
            self._write(Path(folder))
        self.already_saved = True

    def _write(self, folder: Path) -> None:
        config = self.config.clone()
        config["plugins"] = _plugins_to_record()
        text = self.parser.dump(config, skip_none=False, format="yaml")
        path = folder / self.config_filename
        try:
            folder.mkdir(parents=True, exist_ok=True)
            number = 1
            while path.exists():
                if path.read_text(encoding="utf-8") == text:
                    return
                number += 1
                path = folder / f"{Path(self.config_filename).stem}-{number}.yaml"
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}.") from error


def _plugins_to_record() -> list[str]:
    """The plugins to name in config.yaml: installed ones are found without."""
    return [label for label in loaded() if not label.startswith("entry point ")]


class LightformerCLI(LightningCLI):
    """`fit`, `validate`, `test` and `predict`, for a task and a data module that a config names.

    Args:
        arguments: the command and its options
        catalogue: what there is, for suggestions
        trainer_defaults: values and callbacks that the Trainer gets unless a config says otherwise
    """

    def __init__(
        self,
        arguments: list[str],
        catalogue: Catalogue,
        *,
        trainer_defaults: dict[str, Any] | None = None,
        trainer_class: type[Trainer] = Trainer,
        save_config_callback: type[SaveConfigCallback] | None = SaveConfig,
    ) -> None:
        from lightformer.data import DataModule
        from lightformer.tasks import Task

        know(catalogue)
        super().__init__(
            Task,
            DataModule,
            save_config_callback=save_config_callback,
            trainer_class=trainer_class,
            trainer_defaults=trainer_defaults,
            seed_everything_default=42,
            parser_class=Parser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=arguments,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # a task stores what it was made of as plain data
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        kwargs["dump_header"] = None
        return super().init_parser(**kwargs)

    def _prepare_subcommand_parser(
        self, klass: type, subcommand: str, **kwargs: Any
    ) -> LightningArgumentParser:
        usage = f"lightformer {subcommand} [--config FILE.yaml ...] [--KEY VALUE ...]"
        parser = super()._prepare_subcommand_parser(klass, subcommand, usage=usage, **kwargs)
        for name, option in RUN_OPTIONS.items():
            if subcommand in option.commands:
                parser.add_argument(
                    f"--{name}", type=option.type, default=option.default, help=option.doc
                )
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments(
            "data.vocabulary", "model.init_args.vocabulary", apply_on="instantiate"
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Lightning's lets a checkpoint override the command line (pytorch-lightning#21455)."""

    def before_instantiate_classes(self) -> None:
        refuse_hardware(self.config[self.subcommand].trainer)


def refuse_hardware(trainer: Mapping[str, Any] | Namespace) -> None:
    """Refuses what this machine cannot do, before data is read: a GPU that is not there, or half
    precision on a CPU, which Lightning would change, or which would train to NaN.

    Raises:
        ConfigError: the Trainer is asked for such a thing.
    """
    import torch

    precision, accelerator = str(trainer.get("precision")), trainer.get("accelerator")
    has_gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    if accelerator in ("gpu", "cuda") and not has_gpu:
        raise ConfigError(NO_GPU)
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not has_gpu)
    if on_cpu and precision in ("16", "16-mixed", "16-true"):
        raise ConfigError(
            f"--trainer.precision: {precision} needs a GPU, but this run is on the CPU; "
            f"use bf16-mixed or 32-true."
        )


@contextmanager
def as_sentences() -> Iterator[None]:
    """Turns what is the user's to mend into our errors, out of whatever wraps it.

    Raises:
        LightformerError: in place of what Lightning or jsonargparse makes of a user's mistake.
    """
    try:
        yield
    except LightformerError:
        raise
    except Exception as error:
        chain = list(_chain(error))
        for cause in chain:
            if isinstance(cause, LightformerError):
                raise cause from None
        known = isinstance(error, MisconfigurationException)
        sentence = explain_lightning(str(error)) or (
            " ".join(str(error).split()) if known else None
        )
        if sentence is None:
            raise
        raise ConfigError(sentence) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
