"""What every task shares: the backbone, the exact loss, the metrics, the optimizer."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torchmetrics import Metric

from lightformer import optimizer as optimizers
from lightformer import schedule as schedules
from lightformer.adapter import Adapter, AdapterSpec, adapt
from lightformer.backbone import Backbone
from lightformer.backbone_config import BackboneConfig
from lightformer.checkpoint import FORMAT, check_fits
from lightformer.errors import ConfigError
from lightformer.importing import imported_sources, revive
from lightformer.optimizer import OptimizerSpec
from lightformer.plain import from_plain, to_plain
from lightformer.plugins import loaded
from lightformer.pretrained import start_from
from lightformer.schedule import ScheduleSpec
from lightformer.tasks.evaluation import Evaluation, confusion_table
from lightformer.tasks.frozen import check_learns, freeze
from lightformer.tasks.going_on import take_new_options
from lightformer.tasks.layer_rates import check_decay
from lightformer.tasks.objective import Objective, StepMean
from lightformer.tasks.optimisation import optimisation
from lightformer.tasks.positions import positions
from lightformer.tasks.sharding import shard
from lightformer.vocabulary import Vocabulary

Batch = dict[str, Any]

UNSAID = BackboneConfig()
"""The backbone of who asks for none; one that is asked for may be equal to it."""


class Task(LightningModule, ABC):
    """An objective, trained on a backbone.

    A subclass makes its heads in its constructor, calls `finish()` at the end of it, and says in `objectives`
    what is predicted. The rest is here: the loss that is exact over micro-batches and ranks, metrics, logging,
    optimizer and schedule.

    Args:
        vocabulary: what the data is made of; the command line takes it from the data
        backbone: sizes and parts; beside `init_from` those that are not given are the checkpoint's, and in Python a
            mapping gives some of them
        optimizer: what changes the parameters
        schedule: how the learning rate changes
        init_from: a checkpoint of any task, from which the backbone is taken over
        compile: whether the backbone is compiled, which pays on a GPU and in long runs
        freeze: patterns of the names of parameters that stay as they are, such as `backbone.*`, where heads alone
            learn, and an adapter; dropout in what is frozen goes on as in any training
        layer_lr_decay: the learning rate of each layer as a share of that of the layer above: heads have the full
            rate, the embeddings the lowest (Howard and Ruder, 2018, arXiv:1801.06146); 1 gives all the same
        adapter: what learns in place of the backbone, all of which stays as it is; heads learn beside it
    """

    data_defaults: ClassVar[dict[str, str]] = {}
    """The options of the data that this task wants, unless the user says otherwise."""

    headlines: ClassVar[dict[str, str]] = {"val/loss": "val/loss"}
    """The metrics that tell what was learnt, and the name of each one's baseline in the data."""

    monitor: ClassVar[tuple[str, str]] = ("val/loss", "min")
    """The metric by which the best checkpoint is chosen, and whether less or more of it is better."""

    default_is_causal: ClassVar[bool | None] = None
    """Whether a position sees only what stands before it; None where both make sense."""

    def __init__(
        self,
        vocabulary: Vocabulary = Vocabulary(size=1),
        backbone: BackboneConfig = UNSAID,
        optimizer: OptimizerSpec = optimizers.adamw(),
        schedule: ScheduleSpec = schedules.cosine(),
        init_from: str | None = None,
        compile: bool = False,
        freeze: list[str] | None = None,
        layer_lr_decay: float = 1.0,
        adapter: AdapterSpec | None = None,
    ) -> None:
        super().__init__()
        known = from_plain(Vocabulary, vocabulary, "vocabulary")
        self.vocabulary: Vocabulary = replace(known, word_starts=())  # too long for a checkpoint
        self.optimizer_spec: OptimizerSpec = from_plain(OptimizerSpec, optimizer, "optimizer")
        self.schedule_spec: ScheduleSpec = from_plain(ScheduleSpec, schedule, "schedule")
        self.adapter_spec: AdapterSpec | None = from_plain(AdapterSpec | None, adapter, "adapter")
        self.adapter: Adapter | None = None
        self.frozen: list[str] = from_plain(list[str] | None, freeze, "freeze") or []
        self.layer_lr_decay = check_decay(layer_lr_decay)
        self.compile_backbone = compile
        self._start = start = None if init_from is None else start_from(init_from)
        self.origin = None if start is None else start.origin
        is_causal = self.default_is_causal
        if start is None:
            config: BackboneConfig = from_plain(BackboneConfig, backbone, "backbone")
        else:
            self.vocabulary = start.vocabulary(self.vocabulary)
            config = start.backbone({} if backbone is UNSAID else backbone)
            is_causal = start.config.is_causal if is_causal is None else is_causal
        is_causal = bool(is_causal if config.is_causal is None else config.is_causal)
        self.backbone = Backbone(config, self.vocabulary.size, is_causal=is_causal)
        self.tokenizer: Any = None
        self._step_mean = StepMean()
        self._is_sharded = False
        self.keep(
            vocabulary=self.vocabulary,
            backbone=replace(config, is_causal=is_causal),
            optimizer=self.optimizer_spec,
            schedule=self.schedule_spec,
            compile=compile,
            freeze=freeze,
            layer_lr_decay=layer_lr_decay,
            adapter=self.adapter_spec,
        )

    def keep(self, **options: Any) -> None:
        """Keeps options as plain data, in `hparams` and so in each checkpoint."""
        self.save_hyperparameters({k: to_plain(v) for k, v in options.items()})

    def finish(self) -> None:
        """Gives the heads their first values, takes over what `init_from` has, and says what will learn."""
        config = self.backbone.config
        config.init(config.dimensions())(self._heads())
        if self._start is not None:
            for line in self._start.take_over(self, self.vocabulary):
                rank_zero_info(line)
            self._start = None
        freeze(self, self.frozen)  # before an adapter adds its own, which learn
        if self.adapter_spec is not None:
            self.adapter = self.adapter_spec()
            adapt(self.backbone, self.adapter)
        check_learns(self)

    def merge(self) -> None:
        """Folds what an adapter learnt into the weights: the model is then a plain one, all of which may learn."""
        if self.adapter is not None:
            self.adapter.merge(self.backbone)
            self.adapter, self.adapter_spec, self.frozen = None, None, []
            self.requires_grad_(True)
            self.keep(adapter=None, freeze=None)

    def _heads(self) -> nn.ModuleDict:
        children = self.named_children()
        return nn.ModuleDict(
            {k: m for k, m in children if k != "backbone" and any(True for _ in m.parameters())}
        )

    # --- what a task says

    @abstractmethod
    def objectives(self, batch: Batch) -> dict[str, Objective]:
        """Returns what is predicted in a batch, by the batch key of its labels."""

    def objective_names(self) -> dict[str, str]:
        """Returns how the loss of each objective is called, where there is more than one."""
        return {}

    def new_metrics(self) -> dict[str, dict[str, Metric]]:
        """Returns, for the labels of each batch key, metrics by name, updated with (predicted, labels)."""
        return {}

    def derived_metrics(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns what follows from the other metrics of a stage, such as the perplexity."""
        return {}

    def describe(self, batch: Batch, tokenizer: Any, limit: int = 4) -> str:
        """Returns some predictions in words, as Markdown, for a look at what the model does."""
        return ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets spawned ranks load plugins before they meet the modules that these define."""
        cls = type(self)
        names = (imported_sources(), cls.__module__, cls.__qualname__)
        return revive, names, self.__getstate__()

    # --- training and evaluation

    def hidden_states(self, batch: Batch) -> Tensor:
        """Returns the backbone's hidden states of a batch, (batch, seq, hidden)."""
        self._check_batch(batch)
        has_segments = self.backbone.config.num_segments > 0
        return self.backbone(
            batch["input_ids"],
            attention_mask=batch.get("attention_mask"),
            token_type_ids=batch.get("token_type_ids") if has_segments else None,
            position_ids=positions(batch, self.backbone.config, self.vocabulary),
            document_ids=batch.get("document_ids"),
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self._step_mean(self.objectives(batch), batch, batch_idx, self.trainer)
        if not self.trainer.fit_loop._should_accumulate():
            self._log_losses("train", self._step_mean.totals(self.trainer))
        return loss

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what `lightformer.load` needs: the name of the task, its plugins, its tokenizer."""
        data = getattr(self._trainer, "datamodule", None)
        tokenizer = self.tokenizer or getattr(data, "tokenizer", None)
        checkpoint["lightformer"] = {
            "format": FORMAT,
            "task": type(self).__name__,
            "plugins": dict(loaded()),
            "tokenizer": None if tokenizer is None else tokenizer.to_json(),
            "origin": self.origin,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Lets what the user asks for now win over what the run began with, and says so."""
        if self._trainer is not None and self._trainer.state.fn == "fit":
            for line in take_new_options(checkpoint, self.hparams):
                rank_zero_info(line)
        if "state_dict" in checkpoint:  # a strategy that shards has loaded the weights already
            check_fits(self, checkpoint["state_dict"], "The checkpoint")

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Makes dropout a pure function of seed, epoch, micro-batch and rank, so that a resumed run repeats it."""
        seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        step = (self.current_epoch << 32) + batch_idx
        torch.manual_seed(hash((seed, step, self.global_rank)) % 2**63)

    def _log_losses(self, stage: str, losses: dict[str, Tensor]) -> None:
        values = {"loss": torch.stack(list(losses.values())).sum()}
        values |= {name: losses[key] for key, name in self.objective_names().items()}
        values |= self.derived_metrics(values)
        share = (
            stage != "train"
        )  # all ranks have the same value; sharing it keeps Lightning content
        self.log_dict(
            {f"{stage}/{k}": v for k, v in values.items() if k != "loss"}, sync_dist=share
        )
        self.log(f"{stage}/loss", values["loss"], prog_bar=True, sync_dist=share)

    def _end_evaluation(self, stage: str) -> None:
        self._log_losses(stage, self.evaluation.mean_losses())
        values = {f"{stage}/{name}": value for name, value in self.evaluation.values().items()}
        self.log_dict({k: v for k, v in values.items() if v.ndim == 0}, sync_dist=True)
        writer: Any = getattr(self.logger, "experiment", None)
        for name, value in values.items():
            if value.ndim == 2 and hasattr(writer, "add_text"):
                table = confusion_table(value, self.vocabulary.labels)
                writer.add_text(name, table, self.global_step)

    def on_validation_epoch_start(self) -> None:
        self.evaluation = Evaluation(self.new_metrics(), self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluation.update(self.objectives(batch))

    def on_validation_epoch_end(self) -> None:
        self._end_evaluation("val")

    def on_test_epoch_start(self) -> None:
        self.evaluation = Evaluation(self.new_metrics(), self.device)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluation.update(self.objectives(batch))

    def on_test_epoch_end(self) -> None:
        self._end_evaluation("test")

    def _check_batch(self, batch: Batch) -> None:
        if "input_ids" not in batch:
            raise ConfigError(
                f"A batch must have input_ids, but this one has {', '.join(sorted(batch)) or 'nothing'}."
            )

    def require(self, batch: Batch, key: str, way_out: str) -> Tensor:
        """Returns a tensor of the batch, or says which option of the data provides it."""
        if key not in batch:
            raise ConfigError(
                f"{type(self).__name__} needs {key} in its batches, but they have "
                f"{', '.join(sorted(set(batch) - {'num_targets'}))}; {way_out}."
            )
        value = batch[key]
        assert isinstance(value, Tensor)
        return value

    # --- optimisation

    def configure_model(self) -> None:
        if self.device_mesh is not None and not self._is_sharded:
            shard(self.backbone, list(self._heads().values()), self.device_mesh["data_parallel"])
            self._is_sharded = True
        if self.compile_backbone and self.backbone._compiled_call_impl is None:
            self.backbone.compile()  # the backbone alone: `log` does not survive compilation

    def configure_optimizers(self) -> Any:
        specs = self.optimizer_spec, self.schedule_spec
        return optimisation(self, *specs, self.trainer, self.layer_lr_decay)
