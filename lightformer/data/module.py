"""What all data modules share: options, and batches of prepared text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info

from lightformer.data.baselines import most_frequent, text_baselines
from lightformer.data.cache import digest
from lightformer.data.loader import EvaluationLoader, StepLoader
from lightformer.data.mixture import Mixture
from lightformer.data.prepared import PreparedText, Split
from lightformer.data.recounting import recount
from lightformer.data.samples import Samples
from lightformer.draws import bits
from lightformer.errors import CheckpointError, ConfigError, DataError
from lightformer.examples import Corpus, Examples, ExamplesSpec
from lightformer.masking import MaskingSpec
from lightformer.plain import to_plain
from lightformer.registry import find
from lightformer.tokenizer import TokenizerConfig


class DataModule(PreparedText, LightningDataModule):
    """Batches of real text.

    The first use trains a tokenizer and writes the text as tokens to `cache_dir`; later uses read
    them. A batch is a pure function of the data, the seed and the step.
    """

    default_examples: ClassVar[str] = "windows"
    """Name of the samples that are made where the user chose none."""

    def __init__(
        self,
        *,
        tokenizer: TokenizerConfig = TokenizerConfig(),
        examples: ExamplesSpec | None = None,
        masking: MaskingSpec | None = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        batch_tokens: int | None = None,
        group_by_length: bool = False,
        num_workers: int = 0,
        seed: int | None = None,
        cache_dir: str = "data/cache",
    ) -> None:
        """
        Args:
            tokenizer: how text becomes tokens
            examples: how the text is cut into samples; what the task needs, where not given
            masking: which tokens are hidden, for a masked language model; what the task needs,
                where not given
            batch_size: samples of one optimizer step, over all devices and accumulated batches
            eval_batch_size: samples of a batch in validation and test; as in training, where not given
            batch_tokens: tokens of one optimizer step, padding included, instead of batch_size: as many samples of
                like length as fit in
            group_by_length: whether the samples of a batch are alike in length, which saves padding
            num_workers: processes that make batches beside the training; 0 for none
            seed: order, masks and pairs depend on it; as seed_everything, where not given
            cache_dir: folder for tokenizers and tokens
        """
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True
        evaluated = batch_size if eval_batch_size is None else eval_batch_size
        sizes = {
            "batch_size": batch_size,
            "eval_batch_size": evaluated,
            "batch_tokens": batch_tokens,
        }
        for name, value in sizes.items():
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}.")
        if num_workers < 0:
            raise ConfigError(f"num_workers must not be negative, but is {num_workers}.")
        self.tokenizer_config = tokenizer
        self.examples = examples or find("examples", self.default_examples)()
        self.masking = masking
        self.batch_size, self.eval_batch_size = batch_size, evaluated
        self.batch_tokens = batch_tokens
        self.eval_batch_tokens = batch_tokens if eval_batch_size is None else None
        self.group_by_length = group_by_length
        self.num_workers = num_workers
        self.chosen_seed = seed
        self.cache_dir = Path(cache_dir)

    @property
    def seed(self) -> int:
        """The seed in use."""
        if self.chosen_seed is not None:
            return self.chosen_seed
        return int(os.environ.get("PL_GLOBAL_SEED", 42))

    def samples(self, split: Split) -> Samples | None:
        """Returns the samples of a split, or None where there is no such split."""
        corpora = self.corpora(split)
        if not corpora:
            return None
        if self.masking is not None and any(corpus.labels is not None for corpus, _ in corpora):
            raise ConfigError(
                "masking hides words of a text to be guessed, but this data has classes to be guessed; "
                "leave data.masking out, or choose another data module."
            )
        masking = None if self.masking is None else self.masking(self.vocabulary, self.seed)
        return Samples(self._examples(corpora, split == "train"), masking)

    def _examples(self, corpora: list[tuple[Corpus, float]], training: bool) -> Examples | Mixture:
        vocabulary, weights = self.vocabulary, [weight for _, weight in corpora]
        seeds = [int(s) for s in bits(self.seed, "part", np.arange(len(corpora)))]
        if len(corpora) == 1:
            seeds = [self.seed]
        parts: list[Examples] = [
            self.examples(corpus, vocabulary, seed, training)
            for (corpus, _), seed in zip(corpora, seeds, strict=True)
        ]
        if len(parts) == 1 and (weights == [1.0] or not training):
            return parts[0]
        return Mixture(parts, weights, vocabulary.pad_id, self.seed, training)

    def train_dataloader(self) -> StepLoader:
        """Returns the batches of training."""
        samples = self.samples("train")
        if samples is None:
            raise DataError("There is no training data; set data.train.")
        if cut := samples.examples.shortened():
            every = sum(corpus.num_documents for corpus, _ in self.corpora("train"))
            rank_zero_info(
                f"{cut:,} of {every:,} training documents are cut, since they are longer than examples.seq_len; "
                f"{samples.examples.way_out} to keep them whole."
            )
        return StepLoader(
            samples,
            batch_size=self.batch_size,
            seed=self.seed,
            batch_tokens=self.batch_tokens,
            group_by_length=self.group_by_length,
            num_workers=self.num_workers,
            trainer=self.trainer,
        )

    def val_dataloader(self) -> EvaluationLoader | list[Any]:
        """Returns the batches of validation."""
        return self._evaluation("validation")

    def test_dataloader(self) -> EvaluationLoader | list[Any]:
        """Returns the batches of the test, or of validation where there is no test data."""
        return self._evaluation("test" if self.sources("test") else "validation")

    def predict_dataloader(self) -> EvaluationLoader | list[Any]:
        """Returns the batches of the test."""
        return self.test_dataloader()

    def _evaluation(self, split: Split) -> EvaluationLoader | list[Any]:
        samples = self.samples(split)
        if samples is None:
            return []
        return EvaluationLoader(
            samples,
            batch_size=self.eval_batch_size,
            batch_tokens=self.eval_batch_tokens,
            group_by_length=self.group_by_length,
            num_workers=self.num_workers,
            trainer=self.trainer,
        )

    def baselines(self) -> dict[str, dict[str, float]]:
        """Returns what is reached without learning, by the name of a metric.

        It is measured on the validation data. The loss is in nats per predicted token.
        """
        train = [corpus for corpus, _ in self.corpora("train")]
        asked = [corpus for corpus, _ in self.corpora("validation")]
        validation = self.samples("validation")
        if not train or validation is None or not len(validation):
            return {}
        seen, right = ([c.labels for c in own if c.labels is not None] for own in (train, asked))
        if seen and right:
            accuracy = most_frequent(np.concatenate(seen), np.concatenate(right))
            return {"val/accuracy": {"most frequent class": accuracy}}
        found = {}
        batch = validation[0, np.arange(min(len(validation), 4096))]
        if "labels" in batch or "next_token_labels" in batch:
            unasked = self.vocabulary.special_ids if self.masking is not None else ()
            found["val/loss"] = text_baselines(train, asked, self.vocabulary.size, unasked)
        if "next_sentence_labels" in batch:
            share = float(batch["next_sentence_labels"].double().mean())
            found["val/next_sentence_accuracy"] = {"most frequent": max(share, 1 - share)}
        return found

    def state_dict(self) -> dict[str, Any]:
        """Returns what must be the same for a run to go on with the same global batches; devices may change."""
        return {
            "tokenizer": self.tokenizer.fingerprint,
            "training data": digest(self.sources("train")),
            "batch_size": self.batch_size,
            "batch_tokens": self.batch_tokens,
            "group_by_length": self.group_by_length,
            "weights": [part.weight for part in self.parts("train")],
            "training text": [[c.num_documents, c.start, c.stop] for c, _ in self.corpora("train")],
            "examples": to_plain(self.examples),
            "masking": to_plain(self.masking),
            "seed": self.seed,
            "accumulate_grad_batches": getattr(self.trainer, "accumulate_grad_batches", 1),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Compares with the run that goes on.

        Raises:
            CheckpointError: it would go on with other tokens or other batches.
        """
        fitting = self.trainer is not None and self.trainer.state.fn == "fit"
        now = self.state_dict()
        for name in now if fitting else ["tokenizer"]:
            if name not in state or state[name] == now[name]:
                continue
            if name == "accumulate_grad_batches" and self._recounted(state[name], now[name]):
                continue
            raise CheckpointError(
                f"A run goes on only with the {name} that it began with, but the checkpoint has "
                f"{state[name]} and now it is {now[name]}; put back what changed, or start a new run."
            )

    def _recounted(self, before: int, now: int) -> bool:
        """Whether the run can stand at the same step when its steps are cut into other micro-batches."""
        checkpoint = self.trainer._checkpoint_connector._loaded_checkpoint  # type: ignore[union-attr]
        return recount(checkpoint["loops"]["fit_loop"], before, now)
