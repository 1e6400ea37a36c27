"""What each task computes, logs and refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightformer import BackboneConfig, init, optimizer, schedule
from lightformer.errors import ConfigError
from lightformer.plain import from_plain
from lightformer.tasks import (
    BertPretraining,
    CausalLM,
    Encoder,
    MaskedLM,
    NextSentencePrediction,
    SequenceClassification,
    Task,
)
from lightformer.tasks.evaluation import confusion_table
from lightformer.vocabulary import Vocabulary
from tests.tasks import steps
from tests.variants import close

TASKS = [BertPretraining, CausalLM, MaskedLM, NextSentencePrediction, SequenceClassification]
VOCAB, SEQ = 19, 7
WORDS = Vocabulary(size=VOCAB, eos_id=2, mask_id=1, labels=("cat", "dog", "fox", "owl"))
SIZES = BackboneConfig(
    hidden_size=14, num_heads=2, head_dim=6, num_layers=2, max_seq_len=23, num_segments=2
)


def made(cls: type[Task], **options: Any) -> Any:
    given: dict[str, Any] = {"vocabulary": WORDS, "backbone": SIZES, **options}
    model = cls(**given)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    return model


def batch(cls: type[Task], size: int) -> dict[str, Tensor]:
    """A batch with random lengths, and with the labels of a task."""
    ids = torch.randint(3, VOCAB, (size, SEQ))
    is_token = torch.arange(SEQ) < torch.randint(3, SEQ + 1, (size, 1))
    found = {
        "input_ids": ids,
        "attention_mask": is_token,
        "token_type_ids": torch.randint(0, 2, (size, SEQ)),
    }
    if cls in (MaskedLM, BertPretraining):
        hidden = (torch.rand(size, SEQ) < torch.rand(size, 1)) & is_token
        found["labels"] = ids.masked_fill(~hidden, -100)
    if cls in (NextSentencePrediction, BertPretraining):
        found["next_sentence_labels"] = torch.randint(0, 2, (size,))
    if cls is SequenceClassification:
        found["labels"] = torch.randint(0, 3, (size,))  # the fourth label never occurs
    return found


class Batches:
    """Batches as Lightning takes them from a loader: a plain list would be several loaders."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Any:
        return iter(self.batches)


def evaluated(model: Task, batches: list[Any], stage: str = "val") -> dict[str, float]:
    runner = steps.trainer()
    run = runner.validate if stage == "val" else runner.test
    return dict(run(model, Batches(batches), verbose=False)[0])


def predictions(model: Any, batches: list[Any], key: str) -> tuple[Tensor, Tensor]:
    """Scores and labels of all that counts, by way of the whole forward pass."""
    scores, labels = [], []
    model.eval()
    for one in batches:
        inputs = {k: one[k] for k in ("attention_mask", "token_type_ids")}
        if key == "next_sentence_labels":
            states = model.hidden_states(one)
            logits = model.next_sentence_head(model.pooler(states, one["attention_mask"]))
        else:
            logits = model(one["input_ids"], **inputs)
        wanted = one[key]
        if type(model) is CausalLM:
            logits = logits[:, :-1]
        keep = wanted != -100
        scores.append(logits[keep])
        labels.append(wanted[keep])
    return torch.cat(scores).detach(), torch.cat(labels)


def agree(found: float, expected: Any) -> None:
    assert math.isclose(found, float(expected), rel_tol=1e-4), (found, float(expected))


@pytest.mark.parametrize("cls", [MaskedLM, BertPretraining])
@pytest.mark.parametrize("stage", ["val", "test"])
def test_masked_language_models_log(cls: type[Task], stage: str) -> None:
    model, batches = made(cls), [batch(cls, size) for size in (2, 5, 3)]
    logged = evaluated(model, batches, stage)
    scores, labels = predictions(model, batches, "labels")
    loss = F.cross_entropy(scores, labels)
    agree(logged[f"{stage}/perplexity"], loss.exp())
    agree(logged[f"{stage}/masked_accuracy"], (scores.argmax(dim=-1) == labels).float().mean())
    if cls is MaskedLM:
        agree(logged[f"{stage}/loss"], loss)
        assert len(logged) == 3


def test_the_two_losses_of_bert() -> None:
    model, batches = made(BertPretraining), [batch(BertPretraining, size) for size in (2, 5, 3)]
    logged = evaluated(model, batches)
    masked, follows = (
        F.cross_entropy(*predictions(model, batches, key))
        for key in ("labels", "next_sentence_labels")
    )
    agree(logged["val/masked_lm_loss"], masked)
    agree(logged["val/next_sentence_loss"], follows)
    agree(logged["val/loss"], masked + follows)
    assert "val/next_sentence_accuracy" in logged


def test_next_sentence_prediction_logs() -> None:
    cls = NextSentencePrediction
    model, batches = made(cls), [batch(cls, size) for size in (2, 5, 3)]
    logged = evaluated(model, batches)
    scores, labels = predictions(model, batches, "next_sentence_labels")
    agree(logged["val/loss"], F.cross_entropy(scores, labels))
    right = (scores.argmax(dim=-1) == labels).float().mean()
    agree(logged["val/next_sentence_accuracy"], right)


@pytest.mark.parametrize("cls", [BertPretraining, NextSentencePrediction])
@pytest.mark.parametrize("pooling", ["first", "mean", "last"])
def test_a_pair_is_pooled_as_asked(cls: type[Task], pooling: str) -> None:
    model, one = made(cls, pooling=pooling), batch(cls, 5)
    rows = zip(model.hidden_states(one), one["attention_mask"].sum(dim=1), strict=True)
    reads = [{"first": s[0], "mean": s[:n].mean(dim=0), "last": s[n - 1]} for s, n in rows]
    pooled = model.pooler.dense(torch.stack([read[pooling] for read in reads])).tanh()
    found = model.objectives(one)["next_sentence_labels"].logits
    close(found, model.next_sentence_head(pooled), 1e-5)
    assert model.hparams["pooling"] == pooling


def test_a_causal_language_model_predicts_the_next_token() -> None:
    model, batches = made(CausalLM), [batch(CausalLM, size) for size in (2, 5, 3)]
    logged = evaluated(model, batches)
    for one in batches:
        is_next = one["attention_mask"][:, 1:]
        one["next"] = one["input_ids"][:, 1:].masked_fill(~is_next, -100)
    scores, labels = predictions(model, batches, "next")
    agree(logged["val/loss"], F.cross_entropy(scores, labels))
    agree(logged["val/perplexity"], F.cross_entropy(scores, labels).exp())
    agree(logged["val/accuracy"], (scores.argmax(dim=-1) == labels).float().mean())


def test_no_padding_predicts_or_is_predicted() -> None:
    model, ids = made(CausalLM), torch.randint(3, VOCAB, (2, SEQ))
    is_token = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0]]).bool()
    found = model.objectives({"input_ids": ids, "attention_mask": is_token})["next_token_labels"]
    assert found.labels.tolist() == [*ids[0, 3:].tolist(), *ids[1, 1:3].tolist()]


def test_labels_of_the_data_come_before_the_shifted_input() -> None:
    model, one = made(CausalLM), batch(CausalLM, 5)
    key, ids = "next_token_labels", one["input_ids"]
    shifted = model.objectives(one)[key]
    labels = F.pad(ids[:, 1:], (0, 1), value=-100)
    given = model.objectives({**one, key: labels})[key]
    assert given.count() > shifted.count()  # padding too, as it says
    assert model.objectives({"input_ids": ids})[key].count() == 5 * (SEQ - 1)


def test_labels_of_the_input_itself_say_what_is_asked() -> None:
    model, ids = made(CausalLM), IDS
    answers = ids.clone()
    answers[:, :3] = -100
    found = model.objectives({"input_ids": ids, "labels": answers})["next_token_labels"]
    assert found.labels.tolist() == ids[:, 3:].flatten().tolist()


def test_masked_text_is_no_text_to_continue() -> None:
    masked = IDS.clone()
    masked[:, 2] = 4
    asked = torch.full_like(IDS, -100)
    asked[:, 2] = IDS[:, 2] + 1
    assert said(made(CausalLM).objectives, {"input_ids": masked, "labels": asked}) == (
        "CausalLM reads text as it is, but labels differ from input_ids, as those of masked text do; leave "
        "data.masking out."
    )
    assert said(made(MaskedLM).objectives, {"input_ids": IDS, "next_token_labels": IDS}) == (
        "MaskedLM needs labels in its batches, but they have input_ids, next_token_labels; set data.masking to token."
    )


def test_classification_logs() -> None:
    cls = SequenceClassification
    model, batches = made(cls), [batch(cls, size) for size in (20, 50, 31)]
    logged = evaluated(model, batches)
    scores, labels = predictions(model, batches, "labels")
    predicted = scores.argmax(dim=-1)
    agree(logged["val/loss"], F.cross_entropy(scores, labels))
    agree(logged["val/accuracy"], (predicted == labels).float().mean())
    of_classes = []
    for label in range(4):
        right = int(((predicted == label) & (labels == label)).sum())
        said, there = int((predicted == label).sum()), int((labels == label).sum())
        if said or there:
            of_classes.append(
                (right / max(1, said), right / max(1, there), 2 * right / (said + there))
            )
    means = [sum(column) / len(of_classes) for column in zip(*of_classes, strict=True)]
    for name, mean in zip(("precision", "recall", "f1"), means, strict=True):
        agree(logged[f"val/{name}"], mean)


def test_the_confusion_matrix_counts() -> None:
    cls = SequenceClassification
    model, batches = made(cls), [batch(cls, size) for size in (20, 31)]
    scores, labels = predictions(model, batches, "labels")
    model.on_validation_epoch_start()
    for one in batches:
        model.evaluation.update(model.objectives(one))
    found = model.evaluation.metrics["labels"]["confusion_matrix"].compute()
    expected = torch.zeros(4, 4, dtype=torch.long)
    for label, guess in zip(labels, scores.argmax(dim=-1), strict=True):
        expected[label, guess] += 1
    assert found.equal(expected)
    table = confusion_table(found, model.vocabulary.labels).splitlines()
    assert table[0] == "| right \\ predicted | cat | dog | fox | owl |"
    assert table[2].startswith(f"| **cat** | {expected[0, 0]} | ")
    assert confusion_table(found, ("a|b", "c", "d", "e")).splitlines()[0].count(" | ") == 4


@pytest.mark.parametrize("cls", [MaskedLM, BertPretraining])
def test_logits_are_computed_at_masked_positions_alone(cls: type[Task]) -> None:
    model, one = made(cls), batch(cls, 5)
    shapes: list[Any] = []
    model.head.register_forward_hook(
        lambda _, given, out: shapes.append((given[0].shape, out.shape))
    )
    model.objectives(one)
    targets = int((one["labels"] != -100).sum())
    assert shapes == [((targets, 14), (targets, VOCAB))]


@pytest.mark.parametrize("cls", TASKS)
def test_every_parameter_learns(cls: type[Task]) -> None:
    model = made(cls).train()
    sums = [objective.loss_sum() for objective in model.objectives(batch(cls, 5)).values()]
    torch.stack(sums).sum().backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("cls", TASKS)
def test_padding_changes_no_loss(cls: type[Task]) -> None:
    model, one = made(cls).double().eval(), batch(cls, 5)
    wide = {}
    for key, value in one.items():
        fill = {"labels": -100, "attention_mask": 0}.get(key, 3 if key == "input_ids" else 0)
        wide[key] = F.pad(value, (0, 4), value=fill) if value.ndim == 2 else value
    for key, objective in model.objectives(one).items():
        close(model.objectives(wide)[key].loss_sum(), objective.loss_sum(), 1e-9)


@pytest.mark.parametrize("cls", TASKS)
def test_hparams_are_plain_and_make_the_task_again(cls: type[Task], tmp_path: Any) -> None:
    model = made(cls, optimizer=optimizer.sgd(lr=0.3), schedule=schedule.linear(warmup_steps=3))
    torch.save(dict(model.hparams), tmp_path / "hparams.pt")
    kept = torch.load(tmp_path / "hparams.pt", weights_only=True)
    again = cls(**kept)
    assert again.hparams == model.hparams
    assert again.optimizer_spec == optimizer.sgd(lr=0.3)
    assert from_plain(BackboneConfig, kept["backbone"]) == again.backbone.config
    again.load_state_dict(model.state_dict())
    one = batch(cls, 3)
    for key, objective in model.eval().objectives(one).items():
        assert objective.logits.equal(again.eval().objectives(one)[key].logits)


@pytest.mark.parametrize("tied", [False, True])
def test_a_tied_head_keeps_the_embedding(tied: bool) -> None:
    model = MaskedLM(tied=tied, vocabulary=WORDS, backbone=SIZES)
    plain = SequenceClassification(vocabulary=WORDS, backbone=SIZES)
    size = model.backbone.embeddings.token.weight.std().item()
    assert math.isclose(size, plain.backbone.embeddings.token.weight.std().item(), rel_tol=0.3)
    table, hidden = model.backbone.embeddings.token.weight, torch.randn(5, 14)
    before = model.head(hidden)
    with torch.no_grad():
        table.mul_(3)
    assert model.head(hidden).isclose(before).all() == (not tied)
    assert len({id(p) for p in model.parameters()}) == len(model.state_dict())


def test_heads_begin_as_the_scheme_says() -> None:
    sizes = BackboneConfig(hidden_size=120, num_heads=2, num_layers=1, init=init.normal(std=0.3))
    model = SequenceClassification(vocabulary=WORDS, backbone=sizes, pooler=True)
    dense = model.pooler.dense
    assert dense is not None
    torch.testing.assert_close(dense.weight.detach().std(), torch.tensor(0.3), rtol=0.03, atol=0)
    assert not dense.bias.any()


def test_the_rate_changes_with_each_optimizer_step() -> None:
    watch, rates = steps.Watch(), []
    runner = steps.trainer(callbacks=[watch], max_steps=4, accumulate_grad_batches=2)
    model = steps.task(
        "masked_lm",
        "float32",
        optimizer=optimizer.sgd(lr=0.8),
        schedule=schedule.linear(warmup_steps=2, final=0.5),
    )
    watch.on_before_optimizer_step = lambda *given: rates.append(given[2].param_groups[0]["lr"])  # type: ignore[method-assign]
    runner.fit(model, steps.InOrder(8))
    expected = [0.8 / 3, 0.8 * 2 / 3, 0.8, 0.8 * 0.75]
    assert rates == pytest.approx(expected)


def test_dropout_is_a_function_of_the_seed_and_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def draws(seed: str) -> list[float]:
        monkeypatch.setenv("PL_GLOBAL_SEED", seed)
        found: list[float] = []
        runner = steps.trainer(max_epochs=2, max_steps=-1)
        model = steps.task("masked_lm", "float32")
        step = model.training_step
        monkeypatch.setattr(
            model,
            "training_step",
            lambda *given: (found.append(float(torch.rand(()))), step(*given))[1],
        )
        runner.fit(model, steps.InOrder(3))
        return found

    one = draws("1")
    assert len(set(one)) == 6
    torch.rand(100)
    assert draws("1") == one
    assert draws("2") != one


def test_a_schedule_needs_an_end() -> None:
    with pytest.raises(ConfigError) as caught:
        steps.trainer(max_steps=-1, max_epochs=-1).fit(
            steps.task("masked_lm", "float32"), steps.InOrder(2)
        )
    assert str(caught.value) == (
        "A schedule needs to know how long training takes, but it has no end; set trainer.max_steps "
        "or trainer.max_epochs."
    )


def said(call: Any, *given: Any, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*given, **options)
    return str(caught.value)


IDS = torch.ones(2, SEQ, dtype=torch.long)


@pytest.mark.parametrize(
    ("cls", "sentence"),
    [
        (
            MaskedLM,
            "MaskedLM needs labels in its batches, but they have input_ids; set data.masking to token.",
        ),
        (
            BertPretraining,
            "BertPretraining needs labels in its batches, but they have input_ids; set data.masking "
            "to token.",
        ),
        (
            NextSentencePrediction,
            "NextSentencePrediction needs next_sentence_labels in its batches, but they have "
            "input_ids; set data.examples to sentence_pairs.",
        ),
        (
            SequenceClassification,
            "SequenceClassification needs labels in its batches, but they have input_ids; use "
            "LabelledFiles or LabelledPythonDocs as data.",
        ),
    ],
)
def test_a_batch_that_lacks_a_key(cls: type[Task], sentence: str) -> None:
    given = {"input_ids": IDS, "num_targets": {}}
    assert said(made(cls).objectives, given) == sentence


def test_a_batch_without_tokens() -> None:
    assert said(made(MaskedLM).hidden_states, {"labels": IDS}) == (
        "A batch must have input_ids, but this one has labels."
    )
    assert said(made(MaskedLM).hidden_states, {}) == (
        "A batch must have input_ids, but this one has nothing."
    )


def test_labels_of_tokens_are_none_of_texts() -> None:
    model = made(SequenceClassification)
    assert said(model.objectives, {"input_ids": IDS, "labels": IDS}) == (
        "Classification needs one label for each text, but labels have shape (2, 7); use "
        "LabelledFiles or LabelledPythonDocs as data."
    )


def test_classes_come_from_the_data() -> None:
    assert said(SequenceClassification, vocabulary=Vocabulary(size=VOCAB, labels=("a",))) == (
        "Classification needs two labels or more, but the data has 1; use LabelledFiles or "
        "LabelledPythonDocs as data."
    )
    assert made(SequenceClassification).classifier.out_features == 4


def test_a_causal_model_must_be_causal() -> None:
    assert said(CausalLM, vocabulary=WORDS, backbone=BackboneConfig(is_causal=False)) == (
        "CausalLM must not see what it predicts, but backbone.is_causal is false; set it to true, or "
        "leave it out."
    )
    assert made(CausalLM).backbone.is_causal
    assert not made(MaskedLM).backbone.is_causal


@pytest.mark.parametrize("cls", [BertPretraining, NextSentencePrediction, SequenceClassification])
def test_a_first_position_that_sees_nothing_else_is_not_read(cls: type[Task]) -> None:
    sentence = (
        "pooling must be last or mean where the backbone is causal, as its first position sees nothing but itself, "
        "but is first; set pooling to last or mean, or backbone.is_causal to false."
    )
    causal = replace(SIZES, is_causal=True)
    assert said(cls, vocabulary=WORDS, backbone=causal, pooling="first") == sentence
    made(cls, pooling="first", backbone=replace(SIZES, is_causal=False))
    for pooling in ("last", "mean"):
        made(cls, pooling=pooling, backbone=causal)
    encoder = made(Encoder, backbone=causal)
    encoder.tokenizer = Letters()
    assert said(encoder.embed, ["abc"], pooling="first") == sentence


def test_a_pooling_that_is_not_there_is_refused() -> None:
    sentence = "pooling cannot be 'frist'. Did you mean 'first'? Known: first, last, mean."
    for cls in (BertPretraining, Encoder, NextSentencePrediction, SequenceClassification):
        assert said(cls, vocabulary=WORDS, backbone=SIZES, pooling="frist") == sentence
    encoder = made(Encoder)
    encoder.tokenizer = Letters()
    assert said(encoder.embed, ["abc"], pooling="frist") == sentence


@pytest.mark.parametrize(
    ("texts", "batch_size", "sentence"),
    [
        ("abc", 32, "texts must be a list, but is 'abc'."),
        (None, 32, "texts must be a list, but is None."),
        (["abc", None], 32, "texts[1] must be text, but is None."),
        ([1], 32, "texts[0] must be text, but is 1."),
        (["abc"], -1, "batch_size must be at least 1, but is -1."),
        (["abc"], 0, "batch_size must be at least 1, but is 0."),
        (["abc"], 1.5, "batch_size must be a whole number, but is 1.5."),
    ],
)
def test_what_cannot_be_embedded(texts: Any, batch_size: Any, sentence: str) -> None:
    encoder = made(Encoder)
    encoder.tokenizer = Letters()
    assert said(encoder.embed, texts, batch_size=batch_size) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"backbone": {"position": {"name": "rope", "pairs": "halff"}}},
            "backbone.position.pairs cannot be 'halff'. Did you mean 'half'? Known: half, interleaved.",
        ),
        ({"freeze": [3]}, "freeze[0] must be text, but is 3."),
        ({"freeze": "backbone.*"}, "freeze must be a list, but is 'backbone.*'."),
        ({"layer_lr_decay": "x"}, "layer_lr_decay must be a number, but is 'x'."),
        ({"layer_lr_decay": None}, "layer_lr_decay must be a number, but is None."),
        (
            {"backbone": {"hidden_size": "18"}},
            "backbone.hidden_size must be a whole number, but is '18'.",
        ),
        ({"backbone": {"dropout": "0"}}, "backbone.dropout must be a number, but is '0'."),
        ({"backbone": 5}, "backbone must be a mapping, but is 5."),
        ({"vocabulary": None}, "vocabulary must be a mapping, but is None."),
        ({"init_from": 5}, "init_from must be text, but is 5."),
        ({"optimizer": optimizer.adamw(lr="1")}, "optimizer.lr must be a number, but is '1'."),
    ],
    ids=str,
)
def test_options_of_another_type(options: dict[str, Any], sentence: str) -> None:
    assert said(SequenceClassification, **{"vocabulary": WORDS, **options}) == sentence


def test_text_needs_a_tokenizer() -> None:
    sentence = "The model has no tokenizer; load it with lightformer.load(checkpoint)."
    assert said(made(CausalLM).generate_text, "a") == sentence
    assert said(made(MaskedLM).fill_mask, "a [MASK]") == sentence
    assert said(made(SequenceClassification).classify, ["a"]) == sentence


def test_what_is_no_text() -> None:
    tasks = made(SequenceClassification), made(MaskedLM), made(CausalLM)
    for task in tasks:
        task.tokenizer = Letters()
    classify, fill_mask, generate = tasks[0].classify, tasks[1].fill_mask, tasks[2].generate_text
    assert classify(text for text in ("ab", "c")) == classify(["ab", "c"])
    assert said(classify, "abc") == "texts must be a list, but is 'abc'."
    assert said(classify, ["abc", 5]) == "texts[1] must be text, but is 5."
    assert said(fill_mask, ["a["]) == "text must be text, but is ['a[']."
    assert said(fill_mask, "a[", top_k=0) == "top_k must be at least 1, but is 0."
    assert said(fill_mask, "a[", top_k="1") == "top_k must be a whole number, but is '1'."
    assert said(generate, None) == "prompt must be text, but is None."
    assert said(generate, "a", num_samples=0) == "num_samples must be at least 1, but is 0."


class Letters:
    """A tokenizer of one letter a token; `[` is the mask, `^` the end of a document."""

    signs = "_[^abcdefghijklmnop"

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [[self.signs.index(sign) for sign in text] for text in texts]

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        kept = [i for i in ids if i > 2 or not skip_special_tokens]
        return "".join(self.signs[i] for i in kept)


def test_masks_are_filled_with_the_likeliest_letters() -> None:
    model = made(MaskedLM).train()
    model.tokenizer = Letters()
    found = model.fill_mask("ab[de[", top_k=3)
    assert model.training
    shares = model.eval()(torch.tensor(Letters().encode_batch(["ab[de["])))[0].detach()
    shares[:, :3] = -torch.inf
    for place, row in zip((2, 5), found, strict=True):
        best = shares[place].softmax(dim=-1).topk(3)
        assert [letter for letter, _ in row] == [Letters.signs[i] for i in best.indices]
        assert [share for _, share in row] == pytest.approx(best.values.tolist(), rel=1e-4)
    assert said(model.fill_mask, "abc") == (
        "The text must have a mask to fill; write [ where a word is missing."
    )


def test_text_goes_on_from_its_prompt() -> None:
    model = made(CausalLM)
    model.tokenizer = Letters()
    found = model.generate_text("abc", max_new_tokens=5, num_samples=3)
    assert len(found) == 3
    assert all(text.startswith("abc") for text in found)
    assert len(model.generate_text("", max_new_tokens=5)[0]) <= 5


def test_texts_are_classified() -> None:
    model = made(SequenceClassification).train()
    model.tokenizer = Letters()
    found = model.classify(["abc", "abcdefghabcdefghabcdefghabcdefgh"])
    assert model.training
    ids = torch.tensor(Letters().encode_batch(["abc"]))
    shares = model.eval()(ids)[0].softmax(dim=-1)
    assert list(found[0]["probabilities"]) == list(WORDS.labels)
    close(torch.tensor(list(found[0]["probabilities"].values())), shares.detach(), 1e-5)
    assert found[0]["label"] == WORDS.labels[int(shares.argmax())]


@pytest.mark.parametrize("cls", TASKS)
def test_some_predictions_in_words(cls: type[Task]) -> None:
    model, one = made(cls).eval(), batch(cls, 5)
    text = model.describe(one, Letters(), 4)
    assert text
    if cls is MaskedLM:
        assert len(text.split("\n\n")) == 4
    if cls is SequenceClassification:
        assert text.count("✓") + text.count("✗") == 4
